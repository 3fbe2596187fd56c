package network

import (
	"maps"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/language/attachment"
)

// near are the definitions that a name may have meant: of the same name elsewhere, and of a similar name in its namespace.
func (c *checker) near(in, name string) (elsewhere, similar []*definition) {
	for _, key := range slices.Sorted(maps.Keys(c.definitions)) {
		d := c.definitions[key]
		switch {
		case d.Name == name && d.Namespace != in:
			elsewhere = append(elsewhere, d)
		case d.Namespace == in && attachment.Alike(d.Name, name):
			similar = append(similar, d)
		}
	}
	return elsewhere, similar
}

func titles(list []*definition) string {
	var names []string
	for _, d := range list {
		names = append(names, d.title())
	}
	return strings.Join(names, " or ")
}
