package filter

import (
	"fmt"
	"regexp/syntax"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
)

// Bounds of all filters of a request together. Clients send them, each flow is held against them, and a relay answers many clients: what one of
// them may ask for must cost little to keep and little a flow. What people ask for is far below.
const (
	maxFilters  = 500      // of each list
	maxBytes    = 64 << 10 // as protobuf has them
	maxPatterns = 4 << 10  // bytes of all regular expressions
	maxPattern  = 2_000    // steps of which all of them consist: a repetition is as many as it may repeat
	maxCEL      = 16       // expressions, of which each has bounds of its own (cel.go)
	maxQuoted   = 300      // bytes of a client's text in an error
)

// list is one of a request's two.
type list struct {
	name    string
	filters []*flowpb.FlowFilter
}

// bounded tells what of a request is too much, before anything is made of it.
func bounded(lists ...list) error {
	bytes, expressions, patterns := 0, 0, &patternBudget{}
	for _, l := range lists {
		if len(l.filters) > maxFilters {
			return fmt.Errorf("%s: has %d filters, and may have %d: one filter may have many values", l.name, len(l.filters), maxFilters)
		}
		for i, f := range l.filters {
			if bytes += proto.Size(f); bytes > maxBytes {
				return fmt.Errorf("%s[%d]: all filters together have more than %d bytes, and may have no more: ask for prefixes, namespaces or labels instead of single names", l.name, i, maxBytes)
			}
			for _, of := range []struct {
				name string
				list []string
			}{{"http_path", f.GetHttpPath()}, {"http_url", f.GetHttpUrl()}, {"dns_query", f.GetDnsQuery()}} {
				for _, text := range of.list {
					if err := patterns.take(text); err != nil {
						return fmt.Errorf("%s[%d].%s: %w", l.name, i, of.name, err)
					}
				}
			}
			if expressions += len(f.GetExperimental().GetCelExpression()); expressions > maxCEL {
				return fmt.Errorf("%s[%d].experimental: all filters together have more than %d CEL expressions, and may have no more: join them by ||", l.name, i, maxCEL)
			}
		}
	}
	return nil
}

// patternBudget is what regular expressions have of their bounds.
type patternBudget struct{ bytes, steps int }

// take adds a regular expression. One that is none is not told here.
func (b *patternBudget) take(text string) error {
	if b.bytes += len(text); b.bytes > maxPatterns {
		return fmt.Errorf("all regular expressions together have more than %d bytes, and may have no more", maxPatterns)
	}
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil //nolint:nilerr // who compiles it tells
	}
	if b.steps += steps(re); b.steps > maxPattern {
		return fmt.Errorf("%q: all regular expressions together are more than %d characters long where repetitions are written out, and may be no longer", quoted(text), maxPattern)
	}
	return nil
}

// steps is about how many instructions a regular expression becomes.
func steps(re *syntax.Regexp) int {
	n := 1
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpRepeat:
		return max(re.Min, re.Max, 1) * steps(re.Sub[0]) // the parser lets all repetitions of one another be 1,000 at most
	}
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	return n
}

// quoted is as much of a client's text, or of what is said of it, as an error tells.
func quoted(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
}
