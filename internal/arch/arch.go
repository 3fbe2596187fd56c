// Package arch is the shape of the project, written as a test: which package may import which, how large a thing may grow, what
// must be documented. docs/architecture.md says it in prose; this package says it to the machine.
//
// # The world it models
//
// A tree of Go packages in layers. Each package is in one layer, and imports run downward only:
//
//	5 assembly   agent install operator cli            wires everything together
//	4 edges      source sink derive datapath observe   touch the outside, or say what should be; never each other
//	3 languages  language lint manifest explain        from API objects to rules, and what people ask of them; pure
//	2 state      state status table                    the one thing all edges share
//	1 engines    policy lb ipam attach                 pure functions: same input, same output
//	0 words      identity flow packet bpf/abi          what the others talk about
//
// So an engine is tested without a kernel, an edge is replaced without touching another, and what a change can break is
// seen from where it is.
//
// # Invariants
//
//   - It reads source files only (go/parser): no build, no network, no root. A clean clone is enough.
//   - A package that is in no layer is a violation: a new folder is a decision, taken in layers (rules.go).
//   - Test files and generated files are not counted or held to layers. Module lab is held to the same caps.
//   - Words that docs/style.md rules out stand nowhere, in no text and no name of a file, but where others are quoted.
//   - What is nearly as large as it may be is no violation: a test logs it, so that it is split before it is full.
//   - The rules name rooms that are there.
//
// # Example
//
//	found, err := arch.Check(os.DirFS("../.."))
//	for _, v := range found.Violations {
//		t.Error(v)
//	}
package arch

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Violation is one line or folder that breaks one rule.
type Violation struct {
	At   string // file:line, file or folder
	What string
	Why  string // the rule, and what it is good for
}

func (v Violation) String() string { return v.At + ": " + v.What + "\n\trule: " + v.Why }

// pkg is one folder of Go files as the rules see it: without tests, generated code apart.
type pkg struct {
	dir     string // "internal/state"
	name    string
	files   []file
	lines   int // of hand-written files
	written int // number of hand-written files
}

type file struct {
	path      string
	ast       *ast.File
	generated bool
}

// checker walks the tree once and collects.
type checker struct {
	fsys   fs.FS
	module string
	unread []string // patterns of folders and files that are not looked at
	fset   *token.FileSet
	pkgs   map[string]*pkg
	found  []Violation
	near   []string

	includes map[string][]string // of headers of bpf/lib, by path
}

// Found is what a tree has of what the rules are about.
type Found struct {
	Violations []Violation
	Nearly     []string // what is nearly as large as it may be, in order
}

// Check holds the tree against all rules. The tree must have a go.mod at its root; one with these rules in it is held against
// what they name as well.
func Check(fsys fs.FS) (Found, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return Found{}, fmt.Errorf("find the module: %w", err)
	}
	c := &checker{fsys: fsys, module: moduleName(mod), fset: token.NewFileSet(), pkgs: map[string]*pkg{}, includes: map[string][]string{}}
	c.unread = slices.Concat(unread, ignored(fsys))
	if err := fs.WalkDir(fsys, ".", c.visit); err != nil {
		return Found{}, err
	}
	for _, p := range c.pkgs {
		c.checkPackage(p)
	}
	c.checkStoreys()
	if c.pkgs["internal/arch"] != nil {
		c.checkRooms()
	}
	slices.Sort(c.near)
	slices.SortFunc(c.found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.What, b.What))
	})
	return Found{c.found, c.near}, nil
}

func moduleName(mod []byte) string {
	for line := range strings.Lines(string(mod)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

func (c *checker) report(at, why, format string, args ...any) {
	c.found = append(c.found, Violation{at, fmt.Sprintf(format, args...), why})
}

// at is where a node stands, as "file:line".
func (c *checker) at(n ast.Node) string {
	p := c.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

func (c *checker) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	skip := slices.ContainsFunc(c.unread, func(pattern string) bool {
		full, _ := path.Match(pattern, name)
		base, _ := path.Match(pattern, path.Base(name))
		return full || base
	})
	switch {
	case skip && d.IsDir():
		return fs.SkipDir
	case skip || !d.Type().IsRegular():
		return nil
	}
	text, err := fs.ReadFile(c.fsys, name)
	if err != nil {
		return err
	}
	if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
		return nil // an object file, a picture
	}
	c.checkPaths(name, text)
	c.checkWords(name, text)
	c.checkC(name, text)
	c.readIncludes(name, text)
	if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && c.inModule(name) {
		return c.add(name, text)
	}
	return nil
}

// ignored reads the simple patterns of .gitignore: what a build leaves behind is not the project.
func ignored(fsys fs.FS) (patterns []string) {
	text, err := fs.ReadFile(fsys, ".gitignore")
	if err != nil {
		return nil // there need not be one
	}
	for line := range strings.Lines(string(text)) {
		if p := strings.Trim(strings.TrimSpace(line), "/"); p != "" && p[0] != '#' && p[0] != '!' {
			patterns = append(patterns, p)
		}
	}
	return patterns
}

// inModule is false for what the go tool ignores, and for other modules than lab.
func (c *checker) inModule(name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		base := path.Base(dir)
		if base == "testdata" || base == "web" || strings.HasPrefix(base, "_") || strings.HasPrefix(base, ".") {
			return false
		}
		if _, err := fs.Stat(c.fsys, dir+"/go.mod"); err == nil && dir != "lab" {
			return false
		}
	}
	return true
}

func (c *checker) add(name string, text []byte) error {
	f, err := parser.ParseFile(c.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	dir := path.Dir(name)
	p := c.pkgs[dir]
	if p == nil {
		p = &pkg{dir: dir, name: f.Name.Name}
		c.pkgs[dir] = p
	}
	generated := ast.IsGenerated(f)
	p.files = append(p.files, file{name, f, generated})
	if !generated {
		p.lines += bytes.Count(text, []byte("\n"))
		p.written++
	}
	return nil
}

// imports gives every import of a file as a path with where it stands.
func imports(f *ast.File) map[string]*ast.ImportSpec {
	out := map[string]*ast.ImportSpec{}
	for _, spec := range f.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out[p] = spec
		}
	}
	return out
}
