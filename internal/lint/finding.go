package lint

import (
	"cmp"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/policy/gap"
)

// Severity says how bad a finding is.
type Severity string

// Severities, worst first.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Hint    Severity = "hint"
)

// Severities in order, worst first.
var Severities = []Severity{Error, Warning, Hint}

// AtLeast tells whether a severity is as bad as another, or worse.
func (s Severity) AtLeast(other Severity) bool {
	return slices.Index(Severities, s) <= slices.Index(Severities, other)
}

// Finding is one thing to say about one field of one object.
type Finding struct {
	File     string     `json:"file"`
	Line     int        `json:"line"`
	Column   int        `json:"column"`
	Object   string     `json:"object"`          // cnp shop/deny
	Field    string     `json:"field,omitempty"` // spec.ingress[0].toPorts[1]
	Severity Severity   `json:"severity"`
	Check    string     `json:"check"`            // which check found it: unknown-field, …
	Reason   gap.Reason `json:"reason,omitempty"` // why it is not in force as it stands; empty: it is
	Does     string     `json:"does"`             // what is there, and what comes of it
	Meant    string     `json:"meant,omitempty"`  // what was probably meant
	Fix      string     `json:"fix,omitempty"`    // the one line that does that
}

// String is for a terminal; its first line is one that editors and CI systems know how to read.
func (f Finding) String() string {
	var text strings.Builder
	at := manifest.Position{File: f.File, Line: f.Line, Column: f.Column}
	text.WriteString(at.String() + ": " + string(f.Severity) + ": ")
	if about := strings.TrimSpace(f.Object + " " + f.Field); about != "" {
		text.WriteString(about + ": ")
	}
	text.WriteString(f.Does)
	if f.Meant != "" {
		text.WriteString("\n    meant: " + f.Meant)
	}
	if f.Fix != "" {
		text.WriteString("\n    fix:   " + f.Fix)
	}
	return text.String()
}

// Sentence is the finding in one line, without its position in a file: for who has the object at hand.
func (f Finding) Sentence() string {
	text := strings.TrimPrefix(f.Field+": ", ": ") + f.Does
	if f.Meant != "" {
		text += "; probably meant: " + f.Meant
	}
	if f.Fix != "" {
		text += "; fix: " + f.Fix
	}
	return text
}

func compare(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Object, b.Object),
		cmp.Compare(slices.Index(Severities, a.Severity), slices.Index(Severities, b.Severity)),
		cmp.Compare(a.Field, b.Field), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Does, b.Does), cmp.Compare(a.Fix, b.Fix),
	)
}
