package key

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/identity"
)

// Read puts what a key says into a C.
type Read[C any] func(r *Reader, c *C, name string)

// Flag reads a key of true and false.
func Flag[C any](to func(*C) *bool) Read[C] {
	return func(r *Reader, c *C, name string) { *to(c) = r.Flag(name) }
}

// Text reads a key as it is.
func Text[C any](to func(*C) *string) Read[C] {
	return func(r *Reader, c *C, name string) { *to(c) = r.Text(name) }
}

// Number reads a number between low and high.
func Number[C any](low, high int, to func(c *C, n int)) Read[C] {
	return func(r *Reader, c *C, name string) { to(c, r.Number(name, low, high)) }
}

// Word reads a word, which to puts where it belongs.
func Word[C any](to func(c *C, word string)) Read[C] {
	return func(r *Reader, c *C, name string) { to(c, r.Text(name)) }
}

// Prefixed reads a prefix; empty: the zero one.
func Prefixed[C any](to func(*C) *netip.Prefix) Read[C] {
	return func(r *Reader, c *C, name string) { *to(c) = r.Prefix(name) }
}

// List reads a list of words.
func List[C any](to func(*C) *[]string) Read[C] {
	return func(r *Reader, c *C, name string) { *to(c) = Words(r.Text(name)) }
}

// Info is what a Reader has to know of a key.
type Info struct {
	Default string
	Syntax  Syntax
}

// Reader reads values and collects what is wrong with them. A value that is wrong counts as absent.
type Reader struct {
	get      func(string) (string, bool)
	of       func(string) (Info, bool)
	Problems []Problem
}

// NewReader makes a reader. get gives the value of a key, and whether it is set; of what is known of a key.
func NewReader(get func(name string) (string, bool), of func(name string) (Info, bool)) *Reader {
	return &Reader{get: get, of: of}
}

// Problem adds a problem.
func (r *Reader) Problem(name, value, message string) {
	r.Problems = append(r.Problems, Problem{name, value, message})
}

// Get gives the value of a key as it stands there.
func (r *Reader) Get(name string) (string, bool) { return r.get(name) }

// Default is what holds where a key is not set.
func (r *Reader) Default(name string) string { return r.info(name).Default }

func (r *Reader) info(name string) Info {
	k, known := r.of(name)
	if !known {
		panic("settings: " + name + " is read but not in the catalogue")
	}
	return k
}

// Has tells whether a key is set to something that its syntax allows.
func (r *Reader) Has(name string) bool {
	v, ok := r.get(name)
	return ok && r.info(name).Syntax.Check(strings.TrimSpace(v)) == nil
}

// Text gives the value of a key if its syntax allows it, else the default.
func (r *Reader) Text(name string) string {
	k := r.info(name)
	v, ok := r.get(name)
	if !ok {
		return k.Default
	}
	v = strings.TrimSpace(v)
	if err := k.Syntax.Check(v); err != nil {
		r.Problem(name, v, fmt.Sprintf("%v; using %q", err, k.Default))
		return k.Default
	}
	return v
}

// Flag gives true or false.
func (r *Reader) Flag(name string) bool {
	on, _ := strconv.ParseBool(r.Text(name))
	return on
}

// Number gives a number between low and high; 0 if the value is empty.
func (r *Reader) Number(name string, low, high int) int {
	v := r.Text(name)
	n, err := strconv.Atoi(v)
	if v == "" {
		return 0
	}
	if err != nil || n < low || n > high {
		k := r.info(name)
		r.Problem(name, v, fmt.Sprintf("is not between %d and %d; using %q", low, high, k.Default))
		n, _ = strconv.Atoi(k.Default)
	}
	return n
}

// Least and most entries of a map that its key may ask for.
const (
	minEntries = 1 << 10
	maxEntries = 1 << 24
)

// Entries gives the size of a map; 0 if the key is not set.
func (r *Reader) Entries(name string) int {
	if v := r.Text(name); v == "" || v == "0" {
		return 0
	}
	return r.Number(name, minEntries, maxEntries)
}

// Life gives a time; 0 if the key is not set.
func (r *Reader) Life(name string) time.Duration {
	d, _ := time.ParseDuration(r.Text(name)) // its syntax was checked
	return d
}

// Fraction gives a number between 0 and 1.
func (r *Reader) Fraction(name string) float64 {
	x, _ := strconv.ParseFloat(r.Text(name), 64) // its syntax was checked
	return x
}

// Prefix gives a prefix; the zero one if the value is empty.
func (r *Reader) Prefix(name string) netip.Prefix {
	v := r.Text(name)
	if v == "" {
		return netip.Prefix{}
	}
	p := netip.MustParsePrefix(v) // its syntax was checked
	return p.Masked()
}

// Patterns gives the patterns of a list that make sense.
func (r *Reader) Patterns(name string) (out []string) {
	list, _ := r.get(name)
	for _, w := range Words(list) {
		if _, err := identity.NewFilter([]string{w}); err != nil {
			r.Problem(name, w, fmt.Sprintf("is left out: %v", err))
			continue
		}
		out = append(out, w)
	}
	return out
}

// Words splits a list as ConfigMaps write them: by spaces, commas or newlines.
func Words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}
