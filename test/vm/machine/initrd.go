package machine

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cavaliergopher/cpio"

	"weftnet.io/weftnet/test/vm/guest"
)

// boot are the modules without which the machine reaches neither the host's files nor us.
var boot = []string{"virtio_pci", "virtio_console", "virtio_rng", "9pnet_virtio", "9p", "overlay"}

// initrd is the initial RAM file system of one run.
func initrd(k Kernel, job guest.Job) ([]byte, error) {
	var image bytes.Buffer
	w := cpio.NewWriter(&image)
	add := func(name string, mode cpio.FileMode, content []byte) error {
		if err := w.WriteHeader(&cpio.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
			return fmt.Errorf("write initial RAM file system: %s: %w", name, err)
		}
		if _, err := w.Write(content); err != nil {
			return fmt.Errorf("write initial RAM file system: %s: %w", name, err)
		}
		return nil
	}
	program, err := self()
	if err != nil {
		return nil, err
	}
	modules, err := k.needed(boot)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"dev", guest.ModulesDir} {
		if err := add(dir, cpio.TypeDir|0o755, nil); err != nil {
			return nil, err
		}
	}
	if err := add("init", cpio.TypeReg|0o755, program); err != nil {
		return nil, err
	}
	for i, path := range modules {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read module: %w", err)
		}
		if err := add(fmt.Sprintf("%s/%02d-%s", guest.ModulesDir, i, filepath.Base(path)), cpio.TypeReg|0o644, content); err != nil {
			return nil, err
		}
	}
	if err := add(guest.JobFile, cpio.TypeReg|0o644, text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write initial RAM file system: %w", err)
	}
	return image.Bytes(), nil
}

// self is this program, which is /init in the machine, where there are no shared libraries.
func self() ([]byte, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	program, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return nil, fmt.Errorf("this program (%s) needs shared libraries: build it with CGO_ENABLED=0", path)
		}
	}
	return content, nil
}

// needed are the files of modules and of what they depend on, in the order in which they are to be loaded. What is built
// into the kernel is left out.
func (k Kernel) needed(names []string) (files []string, err error) {
	builtin, err := os.ReadFile(filepath.Join(k.Modules, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("read what is built into kernel %s: %w", k.Release, err)
	}
	table, err := os.ReadFile(filepath.Join(k.Modules, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("read modules of kernel %s: %w", k.Release, err)
	}
	depends := map[string][]string{} // by name: its file, then what it needs, the last first
	for line := range strings.Lines(string(table)) {
		file, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		depends[moduleName(file)] = append([]string{file}, strings.Fields(rest)...)
	}
	compiled := map[string]bool{}
	for _, file := range strings.Fields(string(builtin)) {
		compiled[moduleName(file)] = true
	}
	taken := map[string]bool{}
	for _, name := range names {
		list, ok := depends[name]
		if !ok && !compiled[name] {
			return nil, fmt.Errorf("kernel %s has no module %s", k.Release, name)
		}
		for i := len(list) - 1; i >= 0; i-- {
			if !taken[list[i]] {
				taken[list[i]] = true
				files = append(files, filepath.Join(k.Modules, list[i]))
			}
		}
	}
	return files, nil
}

// moduleName is the name by which the kernel knows a module.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
