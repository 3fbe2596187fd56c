package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sample(t *testing.T) *Tree {
	t.Helper()
	host := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(host, []byte("binary"), 0o755); err != nil {
		t.Fatal(err)
	}
	tree := NewTree()
	tree.File("/usr/bin/pause", host, 0o755)
	tree.Link("/bin/pause", "../usr/bin/pause")
	tree.Text("/etc/passwd", "root:x:0:0::/:\n")
	tree.Dir("/tmp", os.ModeSticky|0o777)
	return tree
}

func files(t *testing.T, archive string) map[string][]byte {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = b
	}
}

func TestEveryBlobIsNamedByItsDigest(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.tar")
	digest, err := Write(out, sample(t), Config{Entrypoint: []string{"/bin/pause"}}, "example.org/a:1", "example.org/b:1")
	if err != nil {
		t.Fatal(err)
	}
	content := files(t, out)
	for name, b := range content {
		want, ok := strings.CutPrefix(name, "blobs/sha256/")
		if sum := sha256.Sum256(b); ok && hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s holds something else", name)
		}
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(content["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 2 || index.Manifests[1].Digest != digest || index.Manifests[1].Annotations["io.containerd.image.name"] != "example.org/b:1" {
		t.Errorf("index: %+v", index)
	}
}

func TestEqualContentGivesAnEqualDigest(t *testing.T) {
	dir := t.TempDir()
	a, err := Write(filepath.Join(dir, "a.tar"), sample(t), Config{}, "x:1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Write(filepath.Join(dir, "b.tar"), sample(t), Config{}, "x:1")
	if err != nil || a != b {
		t.Errorf("%s and %s, %v", a, b, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.layer")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTheFingerprintSeesAChangedFile(t *testing.T) {
	tree := sample(t)
	before, err := tree.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	tree.Text("/etc/passwd", "")
	if after, err := tree.Fingerprint(); err != nil || after == before {
		t.Errorf("fingerprint did not change, %v", err)
	}
	tree.File("/missing", "/nonexistent/file", 0o644)
	if _, err := tree.Fingerprint(); err == nil {
		t.Error("a file that does not exist was accepted")
	}
}
