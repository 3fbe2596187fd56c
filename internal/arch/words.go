package arch

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// forbiddenWords are those that texts, code and names of files do not use, and what they say instead. Brackets keep these lines
// from being found themselves.
var forbiddenWords = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)[w]hom(?:ever)?|[w]hoever|[s]omebody|[n]obody`), "say which pods, nodes, agents, sets or programs"},
	{regexp.MustCompile(`(?i)\b(?:[f]urnish\w*|[o]utfit\w*|[b]ury|[b]uries|[b]uried|[h]eirs?)\b`), "say install, configure, remove, retire"},
	{regexp.MustCompile(`(?i)\b(?:holds?|has|have|used up) (?:all of |more than )?(?:its|their|a) (?:own )?[s]hares?\b|weft_[s]hare_`), "what one workload may hold of a table is its quota"},
}

// quoted are lines with such a word that others have written: a part of the path, and a part of the line.
var quoted = [][2]string{
	{"bpf/include/", ""},
	{"deploy/chart/crds/policy.networking.k8s.io_", ""},
	{"lab/internal/rootfs/rootfs.go", ":x:65534:65534:"}, // a user of every Linux system
}

// checkWords reports forbidden words in a file's path, and in its lines.
func (c *checker) checkWords(name string, text []byte) {
	report := func(at string, line []byte) {
		for _, w := range forbiddenWords {
			for _, found := range w.pattern.FindAll(line, -1) {
				c.report(at, whyWord, "the words %q: %s", found, w.instead)
			}
		}
	}
	report(name, []byte(name))
	n := 0
	for line := range bytes.Lines(text) {
		if n++; !isQuoted(name, string(line)) {
			report(fmt.Sprintf("%s:%d", name, n), line)
		}
	}
}

func isQuoted(name, line string) bool {
	for _, q := range quoted {
		if strings.HasPrefix(name, q[0]) && strings.Contains(line, q[1]) {
			return true
		}
	}
	return false
}
