package main

import (
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"weftnet.io/weftnet/lab/internal/image"
)

func archive(t *testing.T) (file, digest string) {
	t.Helper()
	tree := image.NewTree()
	tree.Text("/etc/motd", "here\n")
	file = filepath.Join(t.TempDir(), "x.tar")
	digest, err := image.Write(file, tree, image.Config{Cmd: []string{"/x"}, Labels: map[string]string{"a": "b"}}, "docker.io/weftnet/x:1", "docker.io/weftnet/x:dev")
	if err != nil {
		t.Fatal(err)
	}
	return file, digest
}

func TestARegistryGetsTheImageOfAnArchive(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	file, digest := archive(t)
	as := strings.TrimPrefix(server.URL, "http://") + "/weftnet/x:v1"
	got, err := push(t.Context(), file, as)
	if err != nil || got != digest {
		t.Fatalf("pushed %s, want %s, %v", got, digest, err)
	}
	ref, err := name.ParseReference(as)
	if err != nil {
		t.Fatal(err)
	}
	there, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	config, err := there.ConfigFile()
	if err != nil || config.Config.Cmd[0] != "/x" || config.Config.Labels["a"] != "b" {
		t.Errorf("the registry has %+v, %v", config, err)
	}
	layers, err := there.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || !strings.Contains(string(text), "here") {
		t.Errorf("the layer lacks the file, %v", err)
	}
}

func TestWhatCannotBePushedIsSaid(t *testing.T) {
	file, _ := archive(t)
	for _, c := range []struct{ file, as, says string }{
		{file, "agent", "REGISTRY/PATH:TAG"},
		{filepath.Join(t.TempDir(), "none"), "localhost:1/x:1", "no such file"},
		{"main.go", "localhost:1/x:1", "no archive"},
		{file, "localhost:1/x:1", "refused"},
	} {
		if _, err := push(t.Context(), c.file, c.as); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("push %s as %s: %v, want %q", c.file, c.as, err, c.says)
		}
	}
}
