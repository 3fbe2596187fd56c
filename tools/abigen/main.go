// Abigen writes the Go side of everything that kernel and agent share.
//
// It compiles the headers of a folder with clang, reads the BTF of the object, and prints one Go type per C struct, one
// typed constant per enumerator, and one untyped constant per object-like integer #define:
//
//	struct policy_key   abi.PolicyKey        every underscore-separated word gets a capital: no initialisms, no table
//	enum verdict        abi.Verdict          its Go size is that of the fields that hold it, else 4 bytes
//	VERDICT_ALLOW       abi.VerdictAllow
//	#define WEFT_LIMIT  abi.Limit            the prefix WEFT_ goes
//
// A C field cannot say which enum it holds without taking its size, so the rule is by name: in struct S, field F
// holds enum F, or enum S_F, or (for plural F, as in host.flags) enum S_ and the singular of F; exceptions are in
// fieldEnums. struct addr and __be16 become the hand-written abi.Addr and abi.BePort. A field named pad… becomes a
// blank field, as does a gap; but a gap in a struct …_key is an error: a key with bytes that are not set never matches.
//
//	abigen -headers bpf/lib/abi -include bpf/include -out internal/bpf/abi
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
	headers := flag.String("headers", "bpf/lib/abi", "folder of the headers with every shared shape")
	include := flag.String("include", "bpf/include", "folder of the vendored kernel headers")
	out := flag.String("out", "internal/bpf/abi", "folder that gets abi.go and layout_test.go")
	flag.Parse()
	if err := run(*clang, *headers, *include, *out); err != nil {
		fmt.Fprintln(os.Stderr, "abigen:", err)
		os.Exit(1)
	}
}

func run(clang, headers, include, out string) error {
	dir, err := os.MkdirTemp("", "abigen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	text, program, err := contents(headers)
	if err != nil {
		return err
	}
	source, object := filepath.Join(dir, "abi.c"), filepath.Join(dir, "abi.o")
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(clang, "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-nostdinc", "-I"+include, "-c", source, "-o", object)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compile %s: %w\n%s", headers, err, text)
	}
	spec, err := btf.LoadSpec(object)
	if err != nil {
		return fmt.Errorf("read BTF of %s: %w", headers, err)
	}
	m, err := read(spec)
	if err != nil {
		return fmt.Errorf("%s: %w", headers, err)
	}
	m.defines = defines(text)
	for name, text := range map[string]string{"abi.go": m.code(), "layout_test.go": m.test()} {
		if err := write(filepath.Join(out, name), text); err != nil {
			return err
		}
	}
	return nil
}

// contents are those of all headers of a folder, and a program that makes each of their shapes visible in BTF.
func contents(folder string) (text, program string, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.h"))
	if err == nil && len(files) == 0 {
		err = errors.New("no such file")
	}
	if err != nil {
		return "", "", fmt.Errorf("read headers of %s: %w", folder, err)
	}
	var all, includes strings.Builder
	for _, file := range files {
		header, err := os.ReadFile(file)
		if err != nil {
			return "", "", err
		}
		path, err := filepath.Abs(file)
		if err != nil {
			return "", "", err
		}
		all.Write(header)
		fmt.Fprintf(&includes, "#include %q\n", path)
	}
	return all.String(), includes.String() + shown(all.String()), nil
}
