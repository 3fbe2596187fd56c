// Package journal keeps small facts on disk that must outlive the process: a fact is one file, and a file is there
// whole or not at all, whatever moment the process dies, and once it is written, whatever moment the machine loses power.
//
// # The world it models
//
// A Dir is a directory of records of one type, each a JSON file NAME.json. Put writes a hidden temporary file, renames it
// and syncs: when it returns, the record survives. A crash before leaves the record as it was, and a temporary file that
// All sweeps away. A file that cannot be read is moved aside to NAME.json.damaged and reported once; it never keeps the
// others from being read.
//
// A record may be put in two steps (Begin), to do other work while the disk writes.
//
// A record that is new is synced once, after it has its name: ext4, XFS and btrfs then keep the name along with what is in
// it (fsync(2) asks for the directory to be synced, too, which costs a second write to the disk). Should the machine lose
// power before that, a file may be there that is cut short: no caller was told that it is written. A record that takes another's
// place is synced before, and its directory after.
//
// # Example
//
//	d := journal.Dir[Attachment]{Path: "/var/lib/weft/attachments"}
//	err := d.Put("c0ffee-eth0", a)
//	records, damaged, err := d.All()
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a directory of records; it is made when the first one is put. A T that has a method Valid() error is asked
// when it is read.
type Dir[T any] struct{ Path string }

const (
	suffix  = ".json"
	aside   = ".damaged"
	hidden  = ".tmp-"
	maxSize = 1 << 20
)

// Record is one file of a Dir.
type Record[T any] struct {
	Name  string
	Value T
}

// Put writes a record for good, in place of one of that name. A name is a file name without a leading dot.
func (d Dir[T]) Put(name string, value T) error {
	finish, err := d.Begin(name, value)
	if err != nil {
		return err
	}
	return finish()
}

// Begin is Put in two steps. When it returns, the record outlives the process, and once finish has, a loss of power, too. finish is
// called once; if it fails there is no record, but the one whose place this was to take.
func (d Dir[T]) Begin(name string, value T) (finish func() error, err error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode record %s: %w", name, err)
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return nil, fmt.Errorf("write record %s: %w", name, err)
	}
	return begin(d.file(name), append(data, '\n'), 0o600)
}

// Delete removes a record for good. It is no error if there is none.
func (d Dir[T]) Delete(name string) error {
	if err := os.Remove(d.file(name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("delete record: %w", err)
	}
	return syncDir(d.Path)
}

// One reads a record. It is no error if there is none.
func (d Dir[T]) One(name string) (value T, ok bool, err error) {
	value, err = read[T](d.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return value, false, nil
	} else if err != nil {
		return value, false, fmt.Errorf("read record %s: %w", d.file(name), err)
	}
	return value, true, nil
}

// All reads every record, in order of name. damaged tells of each file that could not be read, and where it is now.
func (d Dir[T]) All() (records []Record[T], damaged []error, err error) {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, fmt.Errorf("read records: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(d.Path, e.Name())
		if strings.HasPrefix(e.Name(), hidden) {
			sweep(path)
			continue
		}
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || e.IsDir() {
			continue
		}
		r := Record[T]{Name: name}
		if r.Value, err = read[T](path); err == nil {
			records = append(records, r)
		} else if !errors.Is(err, fs.ErrNotExist) {
			damaged = append(damaged, errors.Join(fmt.Errorf("read record, which is now %s: %w", path+aside, err), os.Rename(path, path+aside)))
		}
	}
	return records, damaged, nil
}

func (d Dir[T]) file(name string) string { return filepath.Join(d.Path, name+suffix) }

// read takes an empty file and a value that does not hold together for damaged, too: Put never makes one, but broken
// file systems and people do.
func read[T any](path string) (value T, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return value, err
	}
	if len(data) > maxSize {
		return value, fmt.Errorf("%d bytes are no record", len(data))
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, err
	}
	if v, ok := any(value).(interface{ Valid() error }); ok {
		return value, v.Valid()
	}
	return value, nil
}

// Sweep removes what a crash has left in the directory itself; All does so by the way.
func (d Dir[T]) Sweep() {
	left, _ := filepath.Glob(filepath.Join(d.Path, hidden+"*")) // the pattern is fine
	for _, path := range left {
		sweep(path)
	}
}

// sweep removes a temporary file that is not being written: its writer holds a lock, which ends with its process. What it cannot
// remove the next one tries again.
func sweep(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = os.Remove(path)
	}
}

// Write puts a file where it is meant to be, whole and for good, or leaves what was there. Its directory must exist.
func Write(path string, data []byte, mode fs.FileMode) error {
	finish, err := begin(path, data, mode)
	if err != nil {
		return err
	}
	return finish()
}

func begin(path string, data []byte, mode fs.FileMode) (finish func() error, err error) {
	err = errSwept
	for errors.Is(err, errSwept) {
		finish, err = write(path, data, mode)
	}
	return finish, err
}

// errSwept says that another process swept a temporary file between its making and its lock.
var errSwept = errors.New("another process has removed the file before it was locked")

func write(path string, data []byte, mode fs.FileMode) (finish func() error, err error) {
	dir, name := filepath.Split(path)
	f, err := os.CreateTemp(dir, hidden+name+"-*")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	if _, gone := os.Lstat(f.Name()); errors.Is(gone, fs.ErrNotExist) {
		f.Close() // nothing of it is left
		return nil, errSwept
	}
	if err == nil {
		_, err = f.Write(data)
	}
	_, replaces := os.Lstat(path)
	fresh := errors.Is(replaces, fs.ErrNotExist)
	if mode != 0o600 { // as it is made
		err = errors.Join(err, f.Chmod(mode))
	}
	if err == nil && !fresh {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()), f.Close())
	}
	return func() error {
		defer f.Close() // is synced if all went well
		if !fresh {
			return syncDir(filepath.Dir(path))
		}
		if err := f.Sync(); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
		}
		return nil
	}, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", path, err)
	}
	return nil
}
