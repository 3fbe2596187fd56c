// Package mistake is a command line that makes no sense: the command ends with exit status 2 and a word about --help, and has done nothing.
//
//	return mistake.New("--output %q: must be text or json", output)
package mistake

import (
	"errors"
	"fmt"
)

// Error is one.
type Error struct{ error }

// New says what makes no sense.
func New(format string, args ...any) error { return Error{fmt.Errorf(format, args...)} }

// Of makes one of what is wrong.
func Of(err error) error { return Error{err} }

// Unwrap gives what is wrong.
func (e Error) Unwrap() error { return e.error }

// Is tells whether an error is one, or has one in it.
func Is(err error) bool {
	var e Error
	return errors.As(err, &e)
}
