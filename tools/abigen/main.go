// Abigen writes the Go side of everything that kernel and agent share.
//
// It compiles bpf/abi.c with clang, reads the BTF of the object, and prints one Go type per C struct, one typed
// constant per enumerator, and one untyped constant per object-like integer #define of the header:
//
//	struct policy_key   abi.PolicyKey        every underscore-separated word gets a capital: no initialisms, no table
//	enum verdict        abi.Verdict          its Go size is that of the fields that hold it, else 4 bytes
//	VERDICT_ALLOW       abi.VerdictAllow
//	#define WEFT_LIMIT  abi.Limit            the prefix WEFT_ goes
//
// A C field cannot say which enum it holds without taking its size, so the rule is by name: in struct S, field F
// holds enum F, or enum S_F, or (for plural F, as in host.flags) enum S_ and the singular of F; exceptions are in
// fieldEnums. struct addr and __be16 become the hand-written abi.Addr and abi.BePort. A field named pad… becomes a
// blank field, as does a gap; but a gap in a struct …_key is an error: a key with bytes that nobody sets never matches.
//
//	abigen -source bpf/abi.c -headers 'bpf/lib/wire.h,bpf/lib/abi.h,bpf/lib/abi/*.h' -include bpf/include -out internal/bpf/abi
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/btf"
)

func main() {
	clang := flag.String("clang", "clang-19", "compiler; another version may lay out BTF differently")
	source := flag.String("source", "bpf/abi.c", "C file that makes every shared shape visible")
	headers := flag.String("headers", "bpf/lib/wire.h,bpf/lib/abi.h,bpf/lib/abi/*.h", "headers, as patterns, whose integer #defines become constants")
	include := flag.String("include", "bpf/include", "folder of the vendored kernel headers")
	out := flag.String("out", "internal/bpf/abi", "folder that gets abi.go and layout_test.go")
	flag.Parse()
	if err := run(*clang, *source, *headers, *include, *out); err != nil {
		fmt.Fprintln(os.Stderr, "abigen:", err)
		os.Exit(1)
	}
}

func run(clang, source, headers, include, out string) error {
	dir, err := os.MkdirTemp("", "abigen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	object := filepath.Join(dir, "abi.o")
	cmd := exec.Command(clang, "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-nostdinc", "-I"+include, "-c", source, "-o", object)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compile %s: %w\n%s", source, err, text)
	}
	spec, err := btf.LoadSpec(object)
	if err != nil {
		return fmt.Errorf("read BTF of %s: %w", source, err)
	}
	text, err := contents(headers)
	if err != nil {
		return err
	}
	m, err := read(spec)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	m.defines = defines(text)
	for name, text := range map[string]string{"abi.go": m.code(), "layout_test.go": m.test()} {
		if err := write(filepath.Join(out, name), text); err != nil {
			return err
		}
	}
	return nil
}

// contents are those of all files that one of the patterns, with commas between, finds.
func contents(patterns string) (string, error) {
	var all strings.Builder
	for pattern := range strings.SplitSeq(patterns, ",") {
		files, err := filepath.Glob(pattern)
		if err == nil && len(files) == 0 {
			err = errors.New("no such file")
		}
		if err != nil {
			return "", fmt.Errorf("read headers %s: %w", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			all.Write(text)
		}
	}
	return all.String(), nil
}
