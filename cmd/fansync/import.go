package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/lsyncd"
	"github.com/fansync/fansync/internal/sersync"
)

func importCommand() *cobra.Command {
	var opts sersync.Options
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Print a sersync or lsyncd configuration as fansync's own",
		Long: `import reads sersync's confxml.xml or a simple lsyncd.conf.lua and prints the
TOML file that does the same, with a comment for each thing that is different.
Nothing of the file is executed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name one file: fansync import FILE")}
			}
			text, err := imported(args[0], opts)
			if err != nil {
				return usageError{err}
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().BoolVarP(&opts.Compare, "compare", "r", false, "sersync is started with -r: comparing deletes what the source does not have")
	return cmd
}

// imported is the TOML for a file of another program.
func imported(file string, opts sersync.Options) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var conf config.Config
	var notes []string
	if config.IsXML(data) {
		res, err := sersync.Decode(file, data, opts)
		if err != nil {
			return nil, err
		}
		conf = res.Config
		for _, n := range res.Notes {
			notes = append(notes, n.String())
		}
	} else {
		res, err := lsyncd.Decode(file, data)
		if err != nil {
			return nil, err
		}
		conf = res.Config
		for _, n := range res.Notes {
			notes = append(notes, n.String())
		}
	}
	text, err := conf.Encode()
	if err != nil {
		return nil, fmt.Errorf("%s: %w; sersync's file can be run as it is", file, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# fansync's form of %q. Check it with: fansync check -c FILE\n", file)
	if len(notes) > 0 {
		b.WriteString("#\n# What is different, and why:\n")
	}
	for _, n := range notes {
		writeComment(&b, n)
	}
	b.WriteByte('\n')
	b.Write(text)
	return b.Bytes(), nil
}

// commentWidth is where comments are broken.
const commentWidth = 84

// writeComment writes a note as lines of comment. What it quotes from the file
// cannot end a line.
func writeComment(b *bytes.Buffer, note string) {
	note = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, note), "?")
	line := "# -"
	for _, word := range strings.Fields(note) {
		if len(line)+1+len(word) > commentWidth {
			b.WriteString(line + "\n")
			line = "#  "
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
