package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"path"
	"slices"
	"strings"
)

func (c *checker) checkPackage(p *pkg) {
	l := layerOf(p.dir)
	if l == 0 && p.dir != "." {
		c.report(p.dir, whyNoLayer, "the package is in no layer")
	}
	if slices.Contains(forbiddenNames, p.name) || slices.Contains(forbiddenNames, path.Base(p.dir)) {
		c.report(p.dir, whyName, "the package is named %s", path.Base(p.dir))
	}
	c.cap(p.dir, whyLines, p.lines, maxPackageLines, "the package has %d lines")
	if l == mains || strings.HasPrefix(p.dir, "lab/cmd/") {
		c.cap(p.dir, whyMain, p.lines, maxMainLines, "the main has %d lines")
	}
	c.checkComment(p)
	c.checkFanOut(p, l)
	for _, f := range p.files {
		for to, spec := range imports(f.ast) {
			c.checkImport(p, l, to, spec)
		}
		switch l {
		case words, engines:
			c.checkPure(f.ast, slices.Concat(impure, kubernetes))
		case languages:
			c.checkPure(f.ast, impure)
		}
		if !f.generated {
			c.checkFunctions(f.ast)
		}
	}
}

func (c *checker) checkComment(p *pkg) {
	if p.written == 0 {
		return // all generated: its generator is where the comment is
	}
	for _, f := range p.files {
		if f.ast.Doc != nil && (p.name == "main" || strings.HasPrefix(f.ast.Doc.Text(), "Package "+p.name+" ")) {
			return
		}
	}
	c.report(p.dir, whyComment, "no file begins with a comment \"Package %s …\"", p.name)
}

func (c *checker) checkFanOut(p *pkg, l layer) {
	own := map[string]bool{}
	for _, f := range p.files {
		for to := range imports(f.ast) {
			if below(to, c.module) {
				own[to] = true
			}
		}
	}
	limit := maxFanOut
	if l == assembly || l == mains || l == tools || l == testing || l == apart {
		limit = maxAssemblyOut
	}
	c.cap(p.dir, whyFanOut, len(own), limit, "the package imports %d others of the project")
}

// checkImport holds one import against the layers and the libraries.
func (c *checker) checkImport(p *pkg, l layer, to string, spec ast.Node) {
	if !below(to, c.module) {
		c.checkLibrary(p, l, to, spec)
		return
	}
	dir := strings.TrimPrefix(strings.TrimPrefix(to, c.module), "/")
	target := layerOf(dir)
	switch {
	case l == 0 || target == 0: // reported where the package is
	case (l == apart) != (target == apart):
		c.report(c.at(spec), whyApart, "%s imports %s", p.dir, dir)
	case l == apart:
	case target == testing && l != testing:
		c.report(c.at(spec), whyTesting, "%s imports %s", p.dir, dir)
	case l == testing || l == tools || l == schemas && target == schemas:
	case target == schemas && l < languages, target == tools, target == mains, l == schemas:
		c.report(c.at(spec), whyLayers, "%s (%s) imports %s (%s)", p.dir, l, dir, target)
	case target == schemas:
	case target > l:
		c.report(c.at(spec), whyLayers, "%s (%s) imports %s (%s)", p.dir, l, dir, target)
	case l == edges && target == edges && unit(p.dir) != unit(dir) && !maySideways(unit(p.dir), unit(dir)):
		c.report(c.at(spec), whySideways, "%s imports %s", p.dir, dir)
	}
}

func (c *checker) checkLibrary(p *pkg, l layer, to string, spec ast.Node) {
	if l == testing || l == tools || l == apart {
		return
	}
	for _, lib := range libraries {
		if below(to, lib.path) && !slices.ContainsFunc(lib.only, func(dir string) bool { return below(p.dir, dir) }) {
			c.report(c.at(spec), lib.why, "%s imports %s", p.dir, to)
		}
	}
}

// checkPure looks for what makes a function depend on more than its arguments. A local variable that hides an import is
// mistaken for it: such a variable deserves another name anyway.
func (c *checker) checkPure(f *ast.File, impure []string) {
	names := map[string]string{}
	for to, spec := range imports(f) {
		if slices.ContainsFunc(impure, func(bad string) bool { return below(to, bad) }) {
			c.report(c.at(spec), whyPure, "import of %s", to)
		}
		name := path.Base(to)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = to
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			c.report(c.at(n), whyPure, "a goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impure, names[x.Name]+"."+n.Sel.Name) {
				c.report(c.at(n), whyPure, "use of %s.%s", names[x.Name], n.Sel.Name)
			}
		}
		return true
	})
}

func (c *checker) checkFunctions(f *ast.File) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		n := c.fset.Position(fn.End()).Line - c.fset.Position(fn.Pos()).Line + 1
		c.cap(c.at(fn), whyFunction, n, maxFunctionLines, "function "+fn.Name.Name+" has %d lines")
	}
}

// checkC counts the lines of BPF sources.
func (c *checker) checkC(name string, text []byte) {
	lines := bytes.Count(text, []byte("\n"))
	ok, _ := path.Match("bpf/lib/*.h", name)
	deeper, _ := path.Match("bpf/lib/*/*.h", name)
	if ok || deeper {
		c.cap(name, whyHeader, lines, maxHeaderLines, "the header has %d lines")
	}
	if ok, _ := path.Match("bpf/*.c", name); ok {
		c.cap(name, whyProgram, lines, maxProgramLines, "the program has %d lines")
	}
}

func maySideways(from, to string) bool {
	return slices.ContainsFunc(sideways, func(pair [2]string) bool { return below(from, pair[0]) && to == pair[1] })
}

// cap reports what has grown beyond a cap, and warns of what has nearly reached it.
func (c *checker) cap(at, why string, n, most int, format string) {
	switch {
	case n > most:
		c.report(at, why, format, n)
	case n*100 >= most*nearly:
		c.near = append(c.near, fmt.Sprintf("%s: "+format+" of %d", at, n, most))
	}
}

// checkRooms reports what the rules name and the tree has not.
func (c *checker) checkRooms() {
	missing := func(what, dir string) {
		if info, err := fs.Stat(c.fsys, dir); err != nil || !info.IsDir() {
			c.report("internal/arch/rules.go", whyMissing, "%s names %s, which is not there", what, dir)
		}
	}
	for dir := range layers {
		missing("layers", dir)
	}
	for _, pair := range sideways {
		missing("sideways", pair[0])
		missing("sideways", pair[1])
	}
	for _, lib := range libraries {
		for _, dir := range lib.only {
			missing("libraries", dir)
		}
	}
}

// checkPaths looks for paths that lead out of the tree, in every text of it. A path counts from the folder of its file.
func (c *checker) checkPaths(name string, text []byte) {
	if path.Base(name) == "go.sum" {
		return
	}
	depth, n := strings.Count(name, "/"), 0
	for line := range bytes.Lines(text) {
		n++
		for _, found := range upward.FindAll(line, -1) {
			if bytes.Count(found, []byte("..")) > depth {
				c.report(fmt.Sprintf("%s:%d", name, n), whyOutside, "the path %s leads out of the repository", bytes.TrimSpace(found))
			}
		}
	}
}
