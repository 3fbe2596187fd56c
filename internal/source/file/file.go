// Package file reads the CNI configurations that lie on the node's disk, for NetworkAttachmentDefinitions which have none of their own.
//
// # The world it models
//
//	/etc/cni/multus/net.d/storage.conf  {"name": "storage", "type": "macvlan", …}   ->  Files  storage  {"type": "macvlan", …}
//	/etc/cni/net.d/broken.conf          {"name":                                    ->  Files           "it cannot be read as JSON: …"
//
// The name is the one that the configuration states, as Multus has it (GetCNIConfigFromFile in its package k8sclient); that of the file is no matter.
//
// # Invariants
//
//   - Only plain files of these folders are read: a link that leads out of its folder is not followed, nothing is read of devices and pipes, and no
//     more than a mebibyte of any file.
//   - A change is read when it is made; and each half a minute, where the kernel tells of none.
//   - A configuration of Multus itself is none, and that of Weftnet is the pod network.
//
// # Example
//
//	err := file.Run(ctx, db, []string{"/etc/cni/multus/net.d", "/etc/cni/net.d"}, log)
package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/network"
)

const (
	most   = 1 << 20 // bytes of a file
	many   = 1000    // files of a folder
	period = 30 * time.Second
)

// endings are those of files that container runtimes take for configurations (libcni, ConfFiles).
var endings = []string{".conf", ".conflist", ".json"}

// Run keeps table network.Files equal to what lies in these folders, of which the first counts most, until ctx ends.
func Run(ctx context.Context, db *state.DB, folders []string, log *slog.Logger) error {
	var events chan fsnotify.Event
	var lost chan error
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes of CNI configurations on the disk are read late", "after", period, "error", err)
	} else {
		defer watch.Close()
		events, lost = watch.Events, watch.Errors
	}
	for {
		for _, dir := range folders {
			if watch != nil {
				_ = watch.Add(existing(dir)) // if it cannot be watched it is read by the clock
			}
		}
		if err := write(db, Read(folders)); err != nil {
			return err
		}
		clock := time.NewTimer(period)
		select {
		case <-events:
		case <-lost: // some of what has changed was not told
		case <-clock.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		clock.Stop()
	}
}

// existing is a folder, or the one above it that is there and in which it will come.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// write makes the table equal to these rows.
func write(db *state.DB, rows []network.File) error {
	keep := map[state.Key]bool{}
	for _, r := range rows {
		keep[network.Files.Key(r)] = true
	}
	return db.Write(func(tx *state.Tx) error {
		for old := range network.Files.All(tx) {
			if key := network.Files.Key(old); !keep[key] {
				network.Files.Delete(tx, key)
			}
		}
		for _, r := range rows {
			network.Files.Put(tx, r)
		}
		network.Files.MarkSynced(tx)
		return nil
	})
}

// Read is what lies in folders.
func Read(folders []string) (rows []network.File) {
	seen := map[string]bool{}
	for _, dir := range folders {
		for _, row := range readFolder(dir) {
			if row.Name != "" && seen[row.Name] {
				continue
			}
			seen[row.Name] = true
			rows = append(rows, row)
		}
	}
	return rows
}

func readFolder(dir string) (rows []network.File) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return []network.File{{Path: dir, Wrong: err.Error()}}
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return []network.File{{Path: dir, Wrong: err.Error()}}
	}
	if len(entries) > many {
		return []network.File{{Path: dir, Wrong: fmt.Sprintf("it has %d files, and %d are read at most", len(entries), many)}}
	}
	for _, e := range entries {
		if !slices.Contains(endings, filepath.Ext(e.Name())) {
			continue
		}
		row := network.File{Path: filepath.Join(dir, e.Name())}
		text, err := slurp(root, e.Name())
		if err == nil {
			row.Name, row.Config, err = readConfig(text)
		}
		if err != nil {
			row.Wrong = err.Error()
		}
		rows = append(rows, row)
	}
	return rows
}

// slurp reads a plain file.
func slurp(root *os.Root, name string) ([]byte, error) {
	plain := func(info fs.FileInfo, err error) error {
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return errors.New("it is no plain file")
		case info.Size() > most:
			return fmt.Errorf("it has %d bytes, and %d are read at most", info.Size(), most)
		}
		return nil
	}
	if err := plain(root.Stat(name)); err != nil {
		return nil, outside(err)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe may have taken its place
	if err != nil {
		return nil, outside(err)
	}
	defer f.Close()
	if err := plain(f.Stat()); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	return text, err
}

// outside says of a link what is wrong with it.
func outside(err error) error {
	if strings.Contains(err.Error(), "path escapes from parent") { // package os has no variable for it
		return errors.New("it is a link that leads out of its folder")
	}
	return err
}

// readConfig is the name of a configuration, and what a definition would say in its place.
func readConfig(text []byte) (name, config string, err error) {
	var conf struct {
		Name    string
		Type    string
		Version string `json:"cniVersion"`
		Plugins []struct{ Type string }
	}
	if err := json.Unmarshal(text, &conf); err != nil {
		return "", "", fmt.Errorf("it cannot be read as a CNI configuration: %w", err)
	}
	kind := conf.Type
	if len(conf.Plugins) > 0 {
		kind = conf.Plugins[0].Type
	}
	switch {
	case conf.Name == "":
		return "", "", errors.New("it states no name")
	case kind == "":
		return "", "", errors.New("it names no plugin")
	case strings.HasPrefix(kind, "multus"):
		return "", "", errors.New("it is that of Multus itself")
	case kind == "weft-cni" || kind == "cilium-cni":
		return conf.Name, `{"type": "cilium-cni"}`, nil
	}
	return conf.Name, string(text), nil
}
