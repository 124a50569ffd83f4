package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes written as "512", "64k", "10m" or "2g", in units
// of 1024; upper case and an ending "b" or "ib" are allowed.
type Size int64

const sizeUnits = "kmgt"

// UnmarshalText reads a whole number with or without a unit.
func (s *Size) UnmarshalText(text []byte) error {
	bad := fmt.Errorf(`%q is not a size; write a whole number of bytes or one with a unit, such as "64k", "10m" or "2g"`, text)
	num := strings.ToLower(string(text))
	shift := 0
	if i := strings.LastIndexAny(num, "0123456789") + 1; i < len(num) {
		unit := num[i:]
		num = num[:i]
		if unit != "b" {
			n := strings.IndexByte(sizeUnits, unit[0])
			if rest := unit[1:]; n < 0 || rest != "" && rest != "b" && rest != "ib" {
				return bad
			}
			shift = 10 * (n + 1)
		}
	}
	v, err := strconv.ParseUint(num, 10, 63)
	if err != nil || v > math.MaxInt64>>shift {
		return bad
	}
	*s = Size(v << shift)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String is the size with the largest unit that keeps it whole.
func (s Size) String() string {
	unit := ""
	for i := 0; i < len(sizeUnits) && s != 0 && s%1024 == 0; i++ {
		s /= 1024
		unit = sizeUnits[i : i+1]
	}
	return strconv.FormatInt(int64(s), 10) + unit
}
