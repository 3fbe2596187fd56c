// Package capability is the table of what Weftnet does, and of what it does not. README's list is rendered from it.
//
// # The world it models
//
// A project promises in many places, and what is built moves on. Here each promise stands once, with what it can be held
// against: fields of policy languages, keys of the configuration, kinds of objects, commands, scripts. The test of this
// package holds it against all of them: the reader of policies, the catalogue of settings, the chart, the command line.
//
// # Invariants
//
//   - Every field of a policy language, every kind of the chart, every command of weft and every key that asks for
//     protection is in the table, once or more, and in rows of one state only.
//   - What works has no problem when it is read. What is accepted is said: a field has a problem, a key is reported as not
//     implemented. What is absent has no kind in the chart.
//
// # Example
//
//	for _, c := range capability.Table {
//		fmt.Println(c.State, c.Topic, c.Text)
//	}
package capability

import "strings"

// State is how far something is built.
type State uint8

// Values of State.
const (
	_        State = iota
	Works          // does what it says
	Accepted       // is taken, said in status, and does nothing yet; a policy that needs it allows less, never more
	Absent         // is not there
)

func (s State) String() string { return [...]string{"", "works", "accepted", "absent"}[s] }

// Capability is one row: a promise in words, and what it can be held against.
type Capability struct {
	State State
	Topic string
	Text  string

	Fields   []string // of policy languages, by their last name
	Keys     []string // of the configuration, KEY=VALUE
	Kinds    []string // of objects
	Commands []string // of weft
	Scripts  []string // below test/script, by name
}

// README is the part of README.md that tells what works and what does not.
func README() string {
	var b strings.Builder
	b.WriteString("## What works today\n\n")
	for _, c := range Table {
		if c.State == Works {
			b.WriteString("- " + wrap("**"+c.Topic+"**: "+c.Text, "  "))
		}
	}
	b.WriteString("\n## What does not, yet\n\n")
	b.WriteString(wrap("Accepted, and **not in force**: status, events and `weft status` say so, and a rule that needs it allows nothing.", ""))
	b.WriteString("\n")
	for _, c := range Table {
		if c.State == Accepted {
			b.WriteString("- " + wrap("**"+c.Topic+"**: "+c.Text, "  "))
		}
	}
	var absent []string
	for _, c := range Table {
		if c.State == Absent {
			absent = append(absent, c.Text)
		}
	}
	b.WriteString("\n" + wrap("Not there: "+strings.Join(absent, "; ")+".", ""))
	return b.String()
}

const width = 138

// wrap breaks a paragraph into lines; all but the first begin with indent. What stands in `code` is not broken.
func wrap(text, indent string) string {
	const joint = "\x00" // a space in code
	parts := strings.Split(text, "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = strings.ReplaceAll(parts[i], " ", joint)
	}
	var b strings.Builder
	line := ""
	for _, word := range strings.Fields(strings.Join(parts, "`")) {
		if line != "" && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = indent + word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.ReplaceAll(b.String()+line, joint, " ") + "\n"
}
