// Package image writes OCI image archives without a registry, a daemon or a Dockerfile.
//
// An image here is one layer made of a Tree, a run configuration, and names. The result is a tar file in the OCI image layout that
// `ctr images import` takes. It is reproducible: entries are sorted, owners are root and times are zero, so equal content gives an
// equal digest, and the digest tells whether a node must load the image again.
//
//	t := image.NewTree()
//	t.File("/pause", "/build/pause", 0o755)
//	digest, err := image.Write("pause.tar", t, image.Config{Entrypoint: []string{"/pause"}}, "registry.k8s.io/pause:3.10.2")
package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Config is the part of an image's run configuration that the lab uses (OCI image-spec, config.md).
type Config struct {
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	User         string              `json:"User,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
}

type entry struct {
	mode os.FileMode // with type bits
	host string      // regular file: copied from here, unless data is set
	data []byte
	link string
}

// Tree is the content of the layer, by absolute path inside the image. Parent directories appear by themselves.
type Tree struct{ entries map[string]entry }

// NewTree is empty.
func NewTree() *Tree { return &Tree{entries: map[string]entry{}} }

func (t *Tree) put(name string, e entry) {
	name = path.Clean("/" + name)
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		if _, ok := t.entries[dir]; !ok {
			t.entries[dir] = entry{mode: os.ModeDir | 0o755}
		}
	}
	t.entries[name] = e
}

// Has reports whether the path is there already.
func (t *Tree) Has(name string) bool {
	_, ok := t.entries[path.Clean("/"+name)]
	return ok
}

// File copies a file of the machine, following links; it is read when the image is written.
func (t *Tree) File(name, host string, perm os.FileMode) { t.put(name, entry{mode: perm, host: host}) }

// Text puts a file with this content.
func (t *Tree) Text(name, content string) { t.put(name, entry{mode: 0o644, data: []byte(content)}) }

// Dir puts a directory, with sticky bit if perm has it.
func (t *Tree) Dir(name string, perm os.FileMode) { t.put(name, entry{mode: os.ModeDir | perm}) }

// Link puts a symbolic link.
func (t *Tree) Link(name, target string) {
	t.put(name, entry{mode: os.ModeSymlink | 0o777, link: target})
}

// Fingerprint changes whenever the written image would: content of texts, size and modification time of files of the machine.
func (t *Tree) Fingerprint() (string, error) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(t.entries)) {
		e := t.entries[name]
		fmt.Fprintf(h, "%s %v %s %q", name, e.mode, e.link, e.data)
		if e.host != "" {
			fi, err := os.Stat(e.host)
			if err != nil {
				return "", fmt.Errorf("image file %s: %w", name, err)
			}
			fmt.Fprintf(h, " %s %d %d", e.host, fi.Size(), fi.ModTime().UnixNano())
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// blob is one content-addressed part of an archive.
type blob struct {
	digest string // sha256:…
	size   int64
	data   []byte
	file   string // when the content is too big for memory
}

func inMemory(v any) (blob, error) {
	b, err := json.Marshal(v)
	sum := sha256.Sum256(b)
	return blob{digest: "sha256:" + hex.EncodeToString(sum[:]), size: int64(len(b)), data: b}, err
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    map[string]string `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

const mediaType = "application/vnd.oci.image."

// Write makes the archive at out, in one rename, and returns the digest of the image's manifest.
func Write(out string, t *Tree, c Config, names ...string) (digest string, err error) {
	layer, err := writeLayer(out+".layer", t)
	defer os.Remove(out + ".layer")
	if err != nil {
		return "", fmt.Errorf("write image %s: %w", out, err)
	}
	platform := map[string]string{"architecture": runtime.GOARCH, "os": "linux"}
	config, err := inMemory(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": c,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer.digest}},
	})
	if err != nil {
		return "", err
	}
	manifest, err := inMemory(map[string]any{
		"schemaVersion": 2, "mediaType": mediaType + "manifest.v1+json",
		"config": descriptor{MediaType: mediaType + "config.v1+json", Digest: config.digest, Size: config.size},
		"layers": []descriptor{{MediaType: mediaType + "layer.v1.tar", Digest: layer.digest, Size: layer.size}},
	})
	if err != nil {
		return "", err
	}
	var images []descriptor
	for _, n := range names {
		images = append(images, descriptor{
			MediaType: mediaType + "manifest.v1+json", Digest: manifest.digest, Size: manifest.size, Platform: platform,
			// The first is containerd's, the second the one of the layout specification.
			Annotations: map[string]string{"io.containerd.image.name": n, "org.opencontainers.image.ref.name": n},
		})
	}
	index, err := inMemory(map[string]any{"schemaVersion": 2, "mediaType": mediaType + "index.v1+json", "manifests": images})
	if err != nil {
		return "", err
	}
	if err := writeArchive(out, index.data, manifest, config, layer); err != nil {
		return "", fmt.Errorf("write image %s: %w", out, err)
	}
	return manifest.digest, nil
}

func writeArchive(out string, index []byte, blobs ...blob) error {
	f, err := os.Create(out + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	put := func(name string, size int64, r io.Reader) error {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
			return err
		}
		_, err := io.Copy(w, r)
		return err
	}
	layout := `{"imageLayoutVersion":"1.0.0"}`
	if err := put("oci-layout", int64(len(layout)), strings.NewReader(layout)); err != nil {
		return err
	}
	if err := put("index.json", int64(len(index)), strings.NewReader(string(index))); err != nil {
		return err
	}
	for _, b := range blobs {
		var r io.Reader = strings.NewReader(string(b.data))
		if b.file != "" {
			lf, err := os.Open(b.file)
			if err != nil {
				return err
			}
			defer lf.Close()
			r = lf
		}
		if err := put("blobs/sha256/"+strings.TrimPrefix(b.digest, "sha256:"), b.size, r); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.Rename(out+".tmp", out)
}

func writeLayer(file string, t *Tree) (blob, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return blob{}, err
	}
	f, err := os.Create(file)
	if err != nil {
		return blob{}, err
	}
	defer f.Close()
	h := sha256.New()
	w := tar.NewWriter(io.MultiWriter(f, h))
	for _, name := range slices.Sorted(maps.Keys(t.entries)) {
		if err := writeEntry(w, strings.TrimPrefix(name, "/"), t.entries[name]); err != nil {
			return blob{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return blob{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		return blob{}, err
	}
	return blob{digest: "sha256:" + hex.EncodeToString(h.Sum(nil)), size: fi.Size(), file: file}, nil
}

func writeEntry(w *tar.Writer, name string, e entry) error {
	h := &tar.Header{Name: name, Mode: int64(e.mode.Perm())}
	if e.mode&os.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	switch {
	case e.mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return w.WriteHeader(h)
	case e.mode&os.ModeSymlink != 0:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		return w.WriteHeader(h)
	}
	h.Typeflag = tar.TypeReg
	if e.host == "" {
		h.Size = int64(len(e.data))
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(e.data)
		return err
	}
	f, err := os.Open(e.host)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	h.Size = fi.Size()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
