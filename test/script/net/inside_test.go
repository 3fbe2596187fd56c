package net

import (
	"errors"
	"os"
	"os/exec"
	"strings"
)

// in runs a program in a pod's network namespace, with all that root of the machine may do there.
func in(l *line) error {
	p, err := l.pod(l.raw[0])
	if err != nil {
		return err
	}
	c := exec.CommandContext(l.ctx, l.raw[1], l.raw[2:]...)
	c.Env = append(os.Environ(), "LC_ALL=C")
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := p.Do(c.Run); err != nil {
		return errors.Join(err, errors.New(strings.TrimSpace(out.String())))
	}
	return l.printf("%s", out.String())
}
