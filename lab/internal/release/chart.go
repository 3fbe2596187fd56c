package release

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// packChart writes the chart of a folder as Helm packs one, with a version, and with the images of a registry if it is given.
func packChart(dir, file, version, registry string) error {
	out, err := os.Create(file + ".tmp")
	if err != nil {
		return err
	}
	defer out.Close()
	z := gzip.NewWriter(out)
	w := tar.NewWriter(z)
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		switch name {
		case "Chart.yaml":
			text, err = withVersion(string(text), version)
		case "values.yaml":
			text, err = withRegistry(string(text), registry)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join("weftnet", name), Mode: 0o644, Size: int64(len(text))}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		return fmt.Errorf("pack chart %s: %w", dir, err)
	}
	return os.Rename(file+".tmp", file)
}

var (
	chartLine = regexp.MustCompile(`(?m)^version: (.*)$`)
	appLine   = regexp.MustCompile(`(?m)^appVersion: .*$`)
	imageLine = regexp.MustCompile(`(?m)^( *image: )weftnet/`)
	semantic  = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?)$`)
)

func withVersion(text, version string) ([]byte, error) {
	own := chartLine.FindStringSubmatch(text)
	if own == nil || !appLine.MatchString(text) {
		return nil, errors.New("it has no lines version and appVersion")
	}
	text = chartLine.ReplaceAllLiteralString(text, "version: "+chartVersion(own[1], version))
	return []byte(appLine.ReplaceAllLiteralString(text, fmt.Sprintf("appVersion: %q", version))), nil
}

// chartVersion is a version as Helm wants one (semver.org): what Git names is one, or comes after the chart's own.
func chartVersion(own, version string) string {
	if m := semantic.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	clean := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, version)
	return own + "-g" + clean // a letter in front: a number must not begin with 0
}

func withRegistry(text, registry string) ([]byte, error) {
	if n := len(imageLine.FindAllString(text, -1)); n != 2 {
		return nil, fmt.Errorf("it has %d lines with an image of weftnet/, want 2", n)
	}
	if registry == "" {
		return []byte(text), nil
	}
	return []byte(imageLine.ReplaceAllString(text, "${1}"+strings.ReplaceAll(strings.TrimSuffix(registry, "/"), "$", "$$")+"/")), nil
}
