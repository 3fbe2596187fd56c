// Package shelf keeps the order of a map's pins: the one that programs of now have at its name, and behind it those that were
// put aside while their entries move, the latest first.
//
//	connections  connections~before  connections~before~before
package shelf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// Before ends the name of the pin of a map that was put aside. One that was put aside earlier has it once more.
const Before = "~before"

// Rename pins a map of an earlier version under its name of now, and what was left of a move with it: the programs that use it
// do not ask for its name again. No agent of this version leaves a pin of the former name. So an earlier version has run since
// the last of them, and what that one left is stale.
func Rename(was, name string) error {
	if Exists(was) {
		for _, stale := range PutAside(name) {
			if err := os.Remove(stale); err != nil {
				return fmt.Errorf("take away stale map %s: %w", filepath.Base(stale), err)
			}
		}
		if err := os.Rename(was, name); err != nil {
			return fmt.Errorf("pin map %s as %s: %w", filepath.Base(was), filepath.Base(name), err)
		}
	}
	for _, from := range PutAside(was) {
		if err := os.Rename(from, name+strings.TrimPrefix(from, was)); err != nil {
			return fmt.Errorf("pin map %s as %s: %w", filepath.Base(was), filepath.Base(name), err)
		}
	}
	return nil
}

// PutAside are the pins of former maps of a name whose entries move, the latest first.
func PutAside(path string) []string {
	pins, err := filepath.Glob(path + Before + "*")
	if err != nil {
		return nil // the pattern is none: no directory of pins has such a name
	}
	slices.Sort(pins)
	return pins
}

// CloseRanks gives the pins of a map the names in their order that an agent that died in settle has left out.
func CloseRanks(path string) error {
	to := path
	for _, from := range append([]string{path}, PutAside(path)...) {
		if !Exists(from) {
			continue
		}
		if from != to {
			if err := os.Rename(from, to); err != nil {
				return fmt.Errorf("pin map %s again: %w", filepath.Base(path), err)
			}
		}
		to += Before
	}
	return nil
}

// Load opens the map of a pin; nil: there is none.
func Load(path string) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open pinned map %s: %w", filepath.Base(path), err)
	}
	return m, nil
}

// Exists tells whether there is such a pin.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
