package transport

import (
	"fmt"
	"strings"
)

// Option is one option of rsync out of a list of words.
type Option struct {
	// Name is the long name without dashes, or the letter of a short option
	// that has none here.
	Name string
	// Value is what it was given; HasValue tells "" from none.
	Value    string
	HasValue bool
	// Words are what stands for it alone.
	Words []string
	// Refused is why Config.Options may not hold it; "" if it may.
	Refused string
	// Implied says that every run has it.
	Implied bool
}

// ParseOptions splits words into options, bundles such as -artuz too. The error
// names a word that is none, or that lacks its value.
func ParseOptions(list []string) ([]Option, error) {
	var all []Option
	for i := 0; i < len(list); i++ {
		word := list[i]
		next := func(name string) (string, error) {
			if i++; i == len(list) {
				return "", fmt.Errorf("rsync option %q: its value is missing", name)
			}
			return list[i], nil
		}
		if strings.ContainsRune(word, 0) || len(word) < 2 || word == "--" || word[0] != '-' {
			return nil, fmt.Errorf("rsync option %q: it does not start with a dash and no option before it takes a value", word)
		}
		if long, ok := strings.CutPrefix(word, "--"); ok {
			o := Option{Words: []string{word}}
			o.Name, o.Value, o.HasValue = strings.Cut(long, "=")
			if longValued[o.Name] && !o.HasValue {
				v, err := next(word)
				if err != nil {
					return nil, err
				}
				o.Value, o.HasValue = v, true
				o.Words = append(o.Words, v)
			}
			all = append(all, o.judged())
			continue
		}
		for j := 1; j < len(word); j++ {
			o := Option{Name: word[j : j+1], Words: []string{"-" + word[j:j+1]}}
			if long, ok := longOf[word[j]]; ok {
				o.Name = long
			}
			if strings.IndexByte(shortValued, word[j]) >= 0 {
				o.Value, o.HasValue = word[j+1:], true
				if o.Value == "" {
					v, err := next("-" + word[j:j+1])
					if err != nil {
						return nil, err
					}
					o.Value = v
				}
				o.Words = append(o.Words, o.Value)
				j = len(word)
			}
			all = append(all, o.judged())
		}
	}
	return all, nil
}

func (o Option) judged() Option {
	var warnings []string
	implied, err := checkLong(o.Name, &warnings)
	if err != nil {
		_, o.Refused, _ = strings.Cut(err.Error(), "is refused: ")
	}
	o.Implied = implied
	return o
}
