// Package screen keeps what others say from doing something to the terminal that shows it.
//
// # The world it models
//
//	text of a program, with names, labels, errors of agents in it -> Writer -> a terminal
//
// A terminal obeys control characters in a text: they move its cursor, change its title, clip what was copied, type for who sits before it. A
// pod has a say in some texts that are shown, an agent that was taken over in all. Printers take control characters out of what they know to be
// another's; this takes them out of the rest, whatever printed it.
//
// # Invariants
//
//   - Of control characters the end of a line, the tabulator, and the colours of package flow's printer get through. Others are shown: ^[, \a, \u202e.
//   - A program that reads what is printed gets it as it is: only a terminal has a Writer before it.
//
// # Example
//
//	out := screen.New(os.Stdout)
//	defer out.Flush()
package screen

import (
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Writer is before a terminal. Not for several at a time.
type Writer struct {
	out  io.Writer
	rest []byte // what may be the beginning of a character, or of a colour
}

// New makes one.
func New(out io.Writer) *Writer { return &Writer{out: out} }

// color is one of those that are ours, and begin is what may become one.
var (
	color = regexp.MustCompile(`^\x1b\[(0|3[1-6])m`)
	begin = regexp.MustCompile(`^\x1b(\[(0|3[1-6]?)?)?$`)
)

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	text := append(w.rest, p...)
	w.rest = nil
	shown, rest := show(text, false)
	w.rest = append(w.rest, rest...)
	if _, err := io.WriteString(w.out, shown); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush shows what was held back.
func (w *Writer) Flush() error {
	shown, _ := show(w.rest, true)
	w.rest = nil
	_, err := io.WriteString(w.out, shown)
	return err
}

// show gives text as it may be shown, and the end of it that depends on what follows; last: nothing does.
func show(text []byte, last bool) (shown string, rest []byte) {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == 0x1b && color.Match(text):
			size = len(color.Find(text))
			b.Write(text[:size])
		case !last && (r == 0x1b && begin.Match(text) || !utf8.FullRune(text)):
			return b.String(), text
		case r == 0x1b:
			b.WriteString("^[")
		case r == utf8.RuneError && size == 1: // a terminal that speaks no UTF-8 may take it for a control character
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[0]), 16))
		case r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.Write(text[:size])
		}
		text = text[size:]
	}
	return b.String(), nil
}
