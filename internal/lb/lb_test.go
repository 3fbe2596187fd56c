package lb

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A case in testdata/*.txt is a description of one Service and of its slices, a line "---", and the frontends.
//
//	node n1 zone-a
//	service 10.96.0.1 fd00::1 local hints
//	port http tcp 80
//	slice http tcp 8080, metrics tcp 9090
//	endpoint 10.244.0.1 n1 ready serving node=n1 zone=zone-a
func TestFrontendsAreWhatTheGoldenFilesSay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			given, want, _ := strings.Cut(string(text), "---\n")
			svc, of, here := parse(t, given)
			have := print(Frontends(svc, of, here))
			if *update {
				if err := os.WriteFile(file, []byte(given+"---\n"+have), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("frontends (-want +have):\n%s", diff)
			}
			for range 20 {
				shuffle(&svc, of)
				if diff := cmp.Diff(want, print(Frontends(svc, of, here))); diff != "" {
					t.Fatalf("another order of the same facts gives another result (-want +have):\n%s", diff)
				}
			}
		})
	}
}

func shuffle(s *Service, of []Slice) {
	mix(s.Addresses)
	mix(s.Ports)
	mix(of)
	for _, s := range of {
		mix(s.Ports)
		mix(s.Endpoints)
	}
}

func mix[T any](list []T) {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func parse(t *testing.T, text string) (s Service, of []Slice, here Place) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		switch f[0] {
		case "node":
			if here.Node = f[1]; len(f) > 2 {
				here.Zone = f[2]
			}
		case "service":
			for _, word := range f[1:] {
				switch word {
				case "local":
					s.Local = true
				case "hints":
					s.Hints = true
				default:
					s.Addresses = append(s.Addresses, netip.MustParseAddr(word))
				}
			}
		case "port":
			s.Ports = append(s.Ports, port(t, f[1:]))
		case "slice":
			var slice Slice
			for p := range strings.SplitSeq(strings.TrimPrefix(lines.Text(), "slice"), ",") {
				slice.Ports = append(slice.Ports, port(t, strings.Fields(p)))
			}
			of = append(of, slice)
		case "endpoint":
			e := Endpoint{
				Address: netip.MustParseAddr(f[1]), Node: f[2], Ready: slices.Contains(f, "ready"),
				Serving: slices.Contains(f, "serving"), Terminating: slices.Contains(f, "terminating"),
			}
			for _, word := range f[3:] {
				if n, ok := strings.CutPrefix(word, "node="); ok {
					e.ForNodes = append(e.ForNodes, n)
				}
				if z, ok := strings.CutPrefix(word, "zone="); ok {
					e.ForZones = append(e.ForZones, z)
				}
			}
			of[len(of)-1].Endpoints = append(of[len(of)-1].Endpoints, e)
		default:
			t.Fatalf("unknown line %q", lines.Text())
		}
	}
	return s, of, here
}

var protocols = map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}

func port(t *testing.T, f []string) Port {
	t.Helper()
	n, err := strconv.ParseUint(f[2], 10, 16)
	if err != nil || protocols[f[1]] == 0 {
		t.Fatalf("port %q: want NAME PROTOCOL NUMBER (%v)", f, err)
	}
	name := f[0]
	if name == "-" {
		name = ""
	}
	return Port{Name: name, Protocol: protocols[f[1]], Port: uint16(n)}
}

func print(list []Frontend) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%s/%d", netip.AddrPortFrom(f.Address, f.Port), f.Protocol)
		for _, be := range f.Backends {
			fmt.Fprintf(&b, " %s", be)
		}
		b.WriteString("\n")
	}
	return b.String()
}
