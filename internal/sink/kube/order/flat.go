package order

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/ipam/whereabouts"
	"weftnet.io/weftnet/internal/policy/gap"
)

// longest is how many bytes a flat file may have. Ranges take some hundreds.
const longest = 64 << 10

// flat is the text of the flat file; empty: there is none.
func (c *Cluster) flat(config []byte) ([]byte, error) {
	own, gaps := whereabouts.FlatFile(config)
	if len(gaps) > 0 {
		return nil, errors.New(gap.Text(gaps))
	}
	if own != "" {
		text, err := read(c.Root + own)
		if err != nil {
			return nil, fmt.Errorf("ipam.configuration_path: %w", err)
		}
		return text, nil
	}
	for _, path := range whereabouts.FlatFiles {
		text, err := read(c.Root + path)
		if !errors.Is(err, fs.ErrNotExist) {
			return text, err
		}
	}
	return nil, nil
}

// read reads a regular file that is not too long. What else lies there (a pipe, a device) may have no end, or no beginning.
func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch is, err := f.Stat(); {
	case err != nil:
		return nil, err
	case !is.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file: put the flat file of whereabouts there", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, longest+1))
	if err == nil && len(text) > longest {
		err = fmt.Errorf("%s is longer than 64 KiB, which no flat file of whereabouts is", path)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}
