// weft-images makes the images of agent and operator, and a chart that names them: see package internal/release.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"weftnet.io/weftnet/lab/internal/progress"
	"weftnet.io/weftnet/lab/internal/release"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var r release.Release
	flag.StringVar(&r.Source, "source", ".", "checkout of Weftnet")
	flag.StringVar(&r.Out, "out", "dist", "folder for the results")
	flag.StringVar(&r.Version, "version", "", "version of programs, images and chart; empty: what Git calls the sources, or dev")
	flag.StringVar(&r.Registry, "push", "", "registry and path to push the images to, such as registry.example/weftnet; empty: nowhere")
	flag.Parse()
	if err := run(ctx, r); err != nil {
		fmt.Fprintln(os.Stderr, "weft-images:", err)
		os.Exit(1)
	}
}

// run makes the release. Builds run in other folders, so paths are made whole first.
func run(ctx context.Context, r release.Release) (err error) {
	if r.Source, err = filepath.Abs(r.Source); err != nil {
		return err
	}
	if r.Out, err = filepath.Abs(r.Out); err != nil {
		return err
	}
	return r.Make(ctx, progress.New(os.Stdout))
}
