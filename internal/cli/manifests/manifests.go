// Package manifests reads objects from files that a command line names.
//
// # The world it models
//
// A name is a file, a folder with all manifests below it, or - for standard input.
//
// # Invariants
//
//   - What a folder has beside objects (values of a chart, settings of a tool) is passed over; a file that is named must have objects.
//   - Templates of a chart are no objects before they are rendered: a folder of them is passed over.
//
// # Example
//
//	objects, problems, err := manifests.Read(os.Stdin, []string{"policies/", "-"})
package manifests

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"weftnet.io/weftnet/internal/manifest"
)

// Read reads all objects of files, folders and standard input.
func Read(in io.Reader, names []string) (objects []*manifest.Object, problems []manifest.Problem, err error) {
	var files []string
	walked := map[string]bool{} // found below a folder: they need not be objects
	for _, name := range names {
		found, err := expand(name)
		if err != nil {
			return nil, nil, err
		}
		for _, file := range found {
			walked[file] = file != name
		}
		files = append(files, found...)
	}
	for _, file := range files {
		found := walked[file]
		var text []byte
		if file == "-" {
			text, err = io.ReadAll(in)
			file = "stdin"
		} else {
			text, err = os.ReadFile(file)
		}
		if err != nil {
			return nil, nil, err
		}
		o, p := manifest.Read(file, text)
		if found {
			p = slices.DeleteFunc(p, func(p manifest.Problem) bool { return p.Other })
		}
		objects, problems = append(objects, o...), append(problems, p...)
	}
	return objects, problems, nil
}

// expand gives the manifests below a folder, or the file itself.
func expand(name string) (files []string, err error) {
	if name == "-" {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return []string{name}, err
	}
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && isTemplates(path) {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			files = append(files, path)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("folder %s has no file that ends in .yaml, .yml or .json", name)
	}
	return files, err
}

// isTemplates tells whether a folder has the templates of a Helm chart, which are objects only once they are rendered.
func isTemplates(folder string) bool {
	_, err := os.Stat(filepath.Join(filepath.Dir(folder), "Chart.yaml"))
	return filepath.Base(folder) == "templates" && err == nil
}
