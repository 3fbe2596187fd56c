package rootfs

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"

	"weftnet.io/weftnet/lab/internal/image"
)

// program adds a program of the machine with the shared libraries it needs, and those they need.
func program(t *image.Tree, name, host string) error {
	real, err := filepath.EvalSymlinks(host)
	if err != nil {
		return fmt.Errorf("image program %s: %w", name, err)
	}
	t.File(name, real, 0o755)
	return libraries(t, real)
}

// libraries adds what the dynamic linker would load for an ELF file. Nothing is run: needed names and the linker's path are read
// from the file itself (ELF specification, DT_NEEDED and PT_INTERP).
func libraries(t *image.Tree, host string) error {
	f, err := elf.Open(host)
	if err != nil {
		return fmt.Errorf("read %s: %w", host, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			return fmt.Errorf("read %s: %w", host, err)
		}
		linker := string(b[:len(b)-1])
		if !t.Has(linker) {
			t.File(linker, linker, 0o755)
		}
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read %s: %w", host, err)
	}
	for _, lib := range needed {
		path, err := findLibrary(lib)
		if err != nil {
			return fmt.Errorf("%s needs %w", host, err)
		}
		if t.Has(path) {
			continue
		}
		t.File(path, path, 0o755)
		if err := libraries(t, path); err != nil {
			return err
		}
	}
	return nil
}

// findLibrary looks where Debian puts libraries: the folder of the architecture first.
func findLibrary(name string) (string, error) {
	for _, pattern := range []string{"/lib/*-linux-gnu/", "/usr/lib/*-linux-gnu/", "/lib64/", "/usr/lib64/", "/lib/", "/usr/lib/"} {
		found, err := filepath.Glob(pattern + name)
		if err != nil {
			return "", err
		}
		for _, p := range found {
			if _, err := os.Stat(p); err == nil {
				return p, nil
			}
		}
	}
	return "", fmt.Errorf("library %s, which is nowhere below /lib and /usr/lib", name)
}
