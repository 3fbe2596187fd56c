package agent

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// plugins are the CNI binaries that a node needs, by the name they get.
var plugins = map[string]string{
	"weft-cni":   "/usr/bin/weft-cni",
	"cilium-cni": "/usr/bin/weft-cni",
	"portmap":    "/opt/cni/bin/portmap",
	"loopback":   "/opt/cni/bin/loopback",
}

// InstallCNI copies the CNI binaries of this image into dir, each by temporary file and rename: a runtime that calls one
// at that moment finds the old or the new one.
func InstallCNI(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder of CNI plugins: %w", err)
	}
	for name, from := range plugins {
		if err := install(from, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("install CNI plugin %s: %w", name, err)
		}
	}
	return nil
}

func install(from, to string) error {
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
