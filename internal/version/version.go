// Package version is the version of the program that this is part of.
//
// The linker sets it from Git, the same for all programs, images and the chart (lab/internal/release):
//
//	go build -ldflags "-X weftnet.io/weftnet/internal/version.linked=$(git describe --tags --always --dirty)" ./cmd/...
//
// A program that was built in another way has the version that the Go tool noted in it, or none, and says dev.
//
//	fmt.Println(version.Line("weft")) // weft v1.2.3 (go1.26.8 linux/amd64)
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

var linked string

// Text is the version alone.
func Text() string {
	info, _ := debug.ReadBuildInfo()
	return text(linked, info)
}

// Line tells it of a program, with the Go release that built it, and for which machine.
func Line(program string) string {
	return fmt.Sprintf("%s %s (%s %s/%s)", program, Text(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func text(linked string, info *debug.BuildInfo) string {
	noted := ""
	if info != nil && !strings.HasPrefix(info.Main.Version, "(") { // (devel)
		noted = info.Main.Version
	}
	return cmp.Or(linked, noted, "dev")
}
