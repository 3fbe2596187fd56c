// Push takes the image of an OCI archive to a registry, under a name.
//
//	weft-push dist/weftnet-agent.tar registry.example/weftnet/agent:v1.2.3
//
// Credentials are those of `docker login` and its like (~/.docker/config.json, or $DOCKER_CONFIG). A registry at localhost
// or an address of the private ranges is spoken to without TLS, if it offers none.
package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: weft-push ARCHIVE NAME")
		os.Exit(2)
	}
	digest, err := push(ctx, os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintf(os.Stderr, "weft-push: push %s as %s: %v\n", os.Args[1], os.Args[2], err)
		os.Exit(1)
	}
	fmt.Println(digest)
}

// push returns the digest under which the registry has the image.
func push(ctx context.Context, archive, as string) (string, error) {
	ref, err := name.ParseReference(as, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("the name must be REGISTRY/PATH:TAG: %w", err)
	}
	dir, err := os.MkdirTemp("", "weft-push-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := unpack(archive, dir); err != nil {
		return "", err
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return "", fmt.Errorf("this is no OCI archive: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return "", err
	}
	if len(manifest.Manifests) == 0 {
		return "", errors.New("the archive has no image")
	}
	image, err := index.Image(manifest.Manifests[0].Digest) // the others are other names of it
	if err != nil {
		return "", err
	}
	err = remote.Write(ref, image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return "", err
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// unpack writes the files of an archive below dir and nowhere else.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("this is no archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			return err
		}
		out, err := root.Create(h.Name)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}
