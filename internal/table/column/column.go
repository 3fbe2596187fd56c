// Package column writes what rows of tables hold as text, for the columns in which they are shown, and compares it.
package column

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// List is a list, with commas.
func List[T fmt.Stringer](list []T) string {
	text := make([]string, len(list))
	for i, v := range list {
		text[i] = v.String()
	}
	return strings.Join(text, ",")
}

// Labels are labels in the order of their keys, with commas.
func Labels(m map[string]string) string {
	text := make([]string, 0, len(m))
	for k, v := range m {
		text = append(text, k+"="+v)
	}
	sort.Strings(text)
	return strings.Join(text, ",")
}

// Address is an address, or a dash for none.
func Address(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}

// Equal compares lists; it spares the look where both are the same memory.
func Equal[E any](a, b []E, same func(a, b E) bool) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.EqualFunc(a, b, same))
}
