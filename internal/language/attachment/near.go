package attachment

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/network"
)

// Missing says that a definition is not there, with all that is near: those of the same name elsewhere, and what of them fits the addresses
// that are asked for. Isolated tells whether pods may use definitions of their own namespace only.
func Missing(r state.Reader, q Request, isolated bool) (lacks, advice string) {
	title := q.Namespace + "/" + q.Name
	var near []string
	first := ""
	for d := range network.Definitions.By(r, network.ByName, state.Join(q.Name)) {
		read, gaps := Define(d.Namespace, d.Name, d.Config)
		if first == "" {
			first = d.Namespace + "/" + d.Name
		}
		near = append(near, d.Namespace+"/"+d.Name+" exists"+fits(&read, q, len(gaps) > 0))
	}
	if len(near) == 0 {
		for d := range network.Definitions.All(r) {
			if d.Namespace == q.Namespace && Alike(d.Name, q.Name) {
				if first == "" {
					first = d.Namespace + "/" + d.Name
				}
				near = append(near, d.Namespace+"/"+d.Name+" is near")
			}
		}
	}
	lacks = title + " not found"
	switch {
	case len(near) == 0:
		return lacks + ", nor anything with such a name", "apply a NetworkAttachmentDefinition " + title
	case isolated:
		return lacks + "; " + strings.Join(near, "; "), fmt.Sprintf("under namespace isolation a pod of %s cannot use it: copy it to namespace %s", q.Namespace, q.Namespace)
	}
	return lacks + "; " + strings.Join(near, "; "), fmt.Sprintf("ask for %s in the annotation, or copy it to namespace %s", first, q.Namespace)
}

// fits says whether a definition's subnets have what is asked for.
func fits(d *Definition, q Request, broken bool) string {
	if broken {
		return ", and cannot be read"
	}
	var subnets []netip.Prefix
	for _, p := range d.Plugins {
		for _, a := range p.IPAM.Addresses {
			subnets = append(subnets, a.Prefix.Masked())
		}
	}
	if len(subnets) == 0 {
		return ""
	}
	for _, p := range q.Addresses {
		if !slices.ContainsFunc(subnets, func(s netip.Prefix) bool { return s.Contains(p.Addr()) }) {
			return fmt.Sprintf(", but its subnet %s has not %s, which is asked for", subnets[0], p.Addr())
		}
	}
	return ""
}

// Alike tells whether one name may have been written for another: few letters differ, or one is the other cut short.
func Alike(a, b string) bool {
	d := distance(a, b)
	return d <= 2 && d*3 <= len(b) || strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// Nearest is the word of a list that another was probably meant to be; empty: none is near.
func Nearest(word string, list []string) string {
	best, least := "", 3
	for _, one := range list {
		if d := distance(word, one); d < least && d*3 <= len(word) {
			best, least = one, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed to make one word of another (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			here := before
			if a[i] != b[j] {
				here = min(before, row[j], row[j+1]) + 1
			}
			before, row[j+1] = row[j+1], here
		}
	}
	return row[len(b)]
}
