package arch_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"weftnet.io/weftnet/internal/arch"
)

var update = flag.Bool("update", false, "write what the fake trees report into their want files")

func TestTheProjectHasItsShape(t *testing.T) {
	found, err := arch.Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found.Violations {
		t.Error(v)
	}
	for _, n := range found.Nearly {
		t.Log("nearly full: " + n)
	}
}

// told finds the beginning of a path, and the end of a word, that must not stand in a file, in what a tree reports.
var told = regexp.MustCompile(`(the path "?\.)|(hom|hoever|body|ury|hare)`)

// TestABrokenTreeIsReported runs fake trees. In a file of a tree a line "N lines" stands for N lines of nothing, and a
// path or word broken by "|" is joined, so that this module does not break the rule it tests.
func TestABrokenTreeIsReported(t *testing.T) {
	trees, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(trees) == 0 {
		t.Fatal("no trees", err)
	}
	for _, name := range trees {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { checkTree(t, name) })
	}
}

func checkTree(t *testing.T, name string) {
	ar, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := &ar.Files[len(ar.Files)-1]
	if want.Name != "want" {
		t.Fatalf("the last file of %s is %s, not want", name, want.Name)
	}
	tree := &txtar.Archive{Files: []txtar.File{{Name: "go.mod", Data: []byte("module weftnet.io/weftnet\n")}}}
	for _, f := range ar.Files[:len(ar.Files)-1] {
		tree.Files = append(tree.Files, txtar.File{Name: string(expand([]byte(f.Name))), Data: expand(f.Data)})
	}
	fsys, err := txtar.FS(tree)
	if err != nil {
		t.Fatal(err)
	}
	found, err := arch.Check(fsys)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, v := range found.Violations {
		if v.Why == "" {
			t.Errorf("%s: no reason is given", v)
		}
		fmt.Fprintf(&got, "%s: %s\n", v.At, v.What)
	}
	for _, n := range found.Nearly {
		fmt.Fprintf(&got, "nearly full: %s\n", n)
	}
	if *update {
		want.Data = []byte(told.ReplaceAllString(got.String(), "$1|$2"))
		if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(expand(want.Data)); got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}

func expand(text []byte) []byte {
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		var n int
		if _, err := fmt.Sscanf(line, "%d lines\n", &n); err == nil {
			out.WriteString(strings.Repeat("\n", n))
			continue
		}
		out.WriteString(strings.ReplaceAll(line, "|", ""))
	}
	return []byte(out.String())
}
