package install

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Plugins are the CNI binaries that a node needs, by the name they get, as they lie in the agent's image.
var Plugins = map[string]string{
	"weft-cni":   "/usr/bin/weft-cni",
	"cilium-cni": "/usr/bin/weft-cni",
	"portmap":    "/opt/cni/bin/portmap",
	"loopback":   "/opt/cni/bin/loopback",
}

const (
	manifestName = ".weft-installed.json" // what was put into the folder: digests by name
	keptFolder   = ".weft-replaced"       // what lay there before
)

// CopyPlugins copies CNI binaries into dir, each by temporary file and rename: a runtime that calls one at that moment
// finds the old or the new one. A binary of others that has such a name is kept, for RemovePlugins.
func CopyPlugins(dir string, plugins map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder of CNI plugins: %w", err)
	}
	digests, err := readManifest(dir)
	if err != nil {
		return err
	}
	for name, from := range plugins {
		if err := keep(dir, name, digests[name]); err != nil {
			return fmt.Errorf("keep CNI plugin %s that is there already: %w", name, err)
		}
		digest, err := digestOf(from)
		if err != nil {
			return fmt.Errorf("install CNI plugin %s: %w", name, err)
		}
		// The manifest comes first: a binary that is not known to be ours would be kept by the next version.
		digests[name] = append(digests[name], digest)
		if err := writeManifest(dir, digests); err != nil {
			return err
		}
		if err := put(from, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("install CNI plugin %s: %w", name, err)
		}
		digests[name] = []string{digest}
	}
	return writeManifest(dir, digests)
}

// keep moves a binary that is not ours aside.
func keep(dir, name string, ours []string) error {
	path := filepath.Join(dir, name)
	digest, err := digestOf(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && slices.Contains(ours, digest) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, keptFolder), 0o755); err != nil {
		return err
	}
	return put(path, filepath.Join(dir, keptFolder, name)) // not moved: it is in use until ours is there
}

// RemovePlugins takes away what CopyPlugins has put into dir, and puts back what lay there before. What another program
// has put there since stays. It tells what it did, a line each.
func RemovePlugins(dir string) (done []string, err error) {
	digests, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	var errs []error
	for name, ours := range digests {
		path, before := filepath.Join(dir, name), filepath.Join(dir, keptFolder, name)
		digest, err := digestOf(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			errs = append(errs, err)
			continue
		case !slices.Contains(ours, digest):
			done = append(done, "left "+path+", which another program has put there")
			continue
		}
		switch err := os.Rename(before, path); {
		case err == nil:
			done = append(done, "put back "+path)
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		default:
			errs = append(errs, os.Remove(path))
			done = append(done, "removed "+path)
		}
	}
	slices.Sort(done)
	if err := errors.Join(errs...); err != nil {
		return done, fmt.Errorf("remove CNI plugins: %w", err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, keptFolder)), removeIfThere(filepath.Join(dir, manifestName))); err != nil {
		return done, fmt.Errorf("remove CNI plugins: %w", err)
	}
	return done, nil
}

func readManifest(dir string) (map[string][]string, error) {
	digests := map[string][]string{}
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return digests, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &digests)
	}
	if err != nil {
		return nil, fmt.Errorf("read which CNI plugins are Weftnet's: %w", err)
	}
	return digests, nil
}

func writeManifest(dir string, digests map[string][]string) error {
	text, err := json.Marshal(digests)
	if err != nil {
		return err
	}
	temporary := filepath.Join(dir, manifestName+".new")
	if err := errors.Join(os.WriteFile(temporary, append(text, '\n'), 0o644), os.Rename(temporary, filepath.Join(dir, manifestName))); err != nil {
		return fmt.Errorf("note which CNI plugins are Weftnet's: %w", err)
	}
	return nil
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// put copies a program by temporary file and rename.
func put(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), ".weft-install-")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // gone already when all went well
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err := out.Chmod(0o755); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
