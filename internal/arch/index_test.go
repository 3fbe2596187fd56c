package arch_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// quotedName is a name in a text: of a file, or of something in one.
var quotedName = regexp.MustCompile("`([^`]+)`")

// The index "Where is …?" is how a stranger begins. A name in it that is no longer there sends them astray.
func TestTheIndexOfTheArchitectureNamesWhatIsThere(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, index, _ := strings.Cut(string(page), "## Where is …?")
	index, _, _ = strings.Cut(index, "\n## ")
	names, text := sources(t)
	found := quotedName.FindAllStringSubmatch(index, -1)
	if len(found) < 20 {
		t.Fatalf("the index has %d names: is it where it was?", len(found))
	}
	for _, m := range found {
		if name := m[1]; !isFile(names, name) && !isSaid(text, name) {
			t.Errorf("docs/architecture.md: the index names `%s`, and nothing is called so", name)
		}
	}
}

// sources are the names of all files, and the text of those with code.
func sources(t *testing.T) (names []string, text []byte) {
	t.Helper()
	tree := os.DirFS("../..")
	for _, root := range []string{"bpf", "internal", "api", "deploy/chart", "cmd"} {
		err := fs.WalkDir(tree, root, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case name == "bpf/include" || name == "internal/arch":
				return fs.SkipDir
			}
			names = append(names, "/"+name)
			if ext := path.Ext(name); ext == ".go" || ext == ".c" || ext == ".h" {
				file, err := fs.ReadFile(tree, name)
				text = append(text, file...)
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names, text
}

// isFile tells whether a file or folder has a name, or a path that ends so.
func isFile(names []string, name string) bool {
	for _, n := range names {
		if strings.HasSuffix(n, "/"+strings.TrimSuffix(name, "/")) {
			return true
		}
	}
	return false
}

// isSaid tells whether code has a name. Of one with dots, like Server.await, all parts are names.
func isSaid(text []byte, name string) bool {
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == ' ' }) {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(part) + `\b`).Match(text) {
			return false
		}
	}
	return bytes.ContainsAny([]byte(name), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}
