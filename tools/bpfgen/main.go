// Bpfgen compiles every program of a folder, each NAME.c to NAME.o: what internal/datapath/object embeds. The folder is the list of
// programs; nothing else names them.
//
// Objects are the same wherever they are made: the compiler runs beside the folder and sees no path above it. They keep lines of
// source, by which the verifier says what it does not like: so a comment that moves lines, or that ends a line of code, changes them.
//
//	bpfgen -sources bpf -out internal/datapath/object
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	clang := flag.String("clang", "clang-19", "compiler; another version makes other objects")
	strip := flag.String("strip", "llvm-strip-19", "what takes debug information out of an object; lines of source stay")
	sources := flag.String("sources", "bpf", "folder of the programs, with lib and include below it")
	out := flag.String("out", "internal/datapath/object", "folder that gets the objects; others in it are removed")
	flag.Parse()
	if err := run(*clang, *strip, *sources, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bpfgen:", err)
		os.Exit(1)
	}
}

func run(clang, strip, sources, out string) error {
	files, err := filepath.Glob(filepath.Join(sources, "*.c"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no program there: %s", sources)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	var made []string
	for _, source := range files {
		object := filepath.Join(out, strings.TrimSuffix(filepath.Base(source), ".c")+".o")
		if err := compile(clang, strip, sources, source, object); err != nil {
			return fmt.Errorf("compile %s: %w", source, err)
		}
		made = append(made, object)
	}
	return prune(out, made)
}

func compile(clang, strip, sources, source, object string) error {
	folder := filepath.Base(sources)
	flags := []string{
		"-O2", "-mcpu=v3", "-g", "-target", "bpfel", "-nostdinc", "-I" + filepath.Join(folder, "include"), "-I" + folder,
		"-Wall", "-Werror", "-Wno-unused-function", "-fno-ident", "-fdebug-compilation-dir", ".",
		"-c", filepath.Join(folder, filepath.Base(source)), "-o", object,
	}
	for _, command := range [][]string{append([]string{clang}, flags...), {strip, "-g", object}} {
		c := exec.Command(command[0], command[1:]...)
		c.Dir = filepath.Dir(sources)
		if text, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", command[0], err, text)
		}
	}
	return nil
}

// prune removes objects of programs that are no more.
func prune(out string, made []string) error {
	there, err := filepath.Glob(filepath.Join(out, "*.o"))
	errs := []error{err}
	for _, object := range there {
		if !slices.Contains(made, object) {
			errs = append(errs, os.Remove(object))
		}
	}
	return errors.Join(errs...)
}
