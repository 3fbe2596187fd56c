package screen

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNothingButColoursReachesATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"a\tb\nç€😀":                             "a\tb\nç€😀",
		"\x1b[31mred\x1b[0m":                    "\x1b[31mred\x1b[0m",
		"\x1b]0;title\a\x1b[2J\x1b[8mhidden":    "^[]0;title\\a^[[2J^[[8mhidden",
		"\x1b[1;31mx\x1b[31":                    "^[[1;31mx^[[31",
		"back\b\b\rover":                        `back\b\b\rover`,
		"one byte \x9b2J, two \u009b2J, \x7f":   `one byte \x9b2J, two \u009b2J, \x7f`,
		"from \u202eright to left\u202c \xff":   `from \u202eright to left\u202c \xff`,
		"{\"name\":\"\\u001b[2J\",\"é\":\"é\"}": "{\"name\":\"\\u001b[2J\",\"é\":\"é\"}",
		"\x1b": "^[",
	} {
		for size := 1; size <= len(text); size++ { // however it is cut
			var b strings.Builder
			w := New(&b)
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				if have, err := w.Write([]byte(rest[:n])); have != n || err != nil {
					t.Fatal(have, err)
				}
				rest = rest[n:]
			}
			if err := w.Flush(); err != nil || b.String() != want {
				t.Errorf("%q cut at %d: have %q, want %q, %v", text, size, b.String(), want, err)
			}
		}
	}
}

func FuzzATerminalGetsNoControlCharacter(f *testing.F) {
	f.Add("\x1b[31m\x1b[31x\u009b")
	f.Fuzz(func(t *testing.T, text string) {
		var b strings.Builder
		w := New(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Flush()
		left := strings.NewReplacer("\n", "", "\t", "").Replace(b.String())
		for _, c := range []string{"0", "31", "32", "33", "34", "35", "36"} {
			left = strings.ReplaceAll(left, "\x1b["+c+"m", "")
		}
		if !utf8.ValidString(left) || strings.ContainsFunc(left, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			t.Errorf("%q is shown as %q", text, b.String())
		}
	})
}
