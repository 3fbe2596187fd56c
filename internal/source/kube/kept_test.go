package kube

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// slice is the EndpointSlice of API servers at these addresses.
func slice(t *testing.T, addresses ...string) table.EndpointSlice {
	t.Helper()
	s := table.EndpointSlice{Namespace: "default", Name: "kubernetes", Service: "kubernetes"}
	for _, text := range addresses {
		a := netip.MustParseAddrPort(text)
		s.Ports = []table.NamedPort{{Name: "https", Protocol: 6, Port: a.Port()}}
		s.Endpoints = append(s.Endpoints, table.SliceEndpoint{Addresses: []netip.Addr{a.Addr()}, Ready: true})
	}
	return s
}

func put(t *testing.T, db *state.DB, do func(tx *state.Tx)) {
	t.Helper()
	if err := db.Write(func(tx *state.Tx) error { do(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestServersThatTheClusterNamesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state", "api-servers")
		tables, db := table.New()
		_, s, err := ConnectAndKeep(kubeconfig(t, "https://127.0.0.1:9"), "test", "https://192.0.2.1:6443", file, slog.Default())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = s.Follow(ctx, db, tables) }()
		kept := func() string {
			synctest.Wait()
			text, _ := os.ReadFile(file)
			return strings.Join(strings.Fields(string(text)), " ")
		}
		put(t, db, func(tx *state.Tx) { tables.EndpointSlices.Put(tx, slice(t, "192.0.2.2:6443")) })
		if have := kept(); have != "" {
			t.Errorf("%q is kept before all slices are known", have)
		}
		put(t, db, func(tx *state.Tx) { tables.EndpointSlices.MarkSynced(tx) })
		six := slice(t, "[2001:db8::2]:6443", "[2001:db8::3]:6443")
		six.Name, six.Endpoints[1].Ready = "kubernetes-6", false
		other := slice(t, "192.0.2.9:443")
		other.Service, other.Name = "web", "web"
		put(t, db, func(tx *state.Tx) {
			tables.EndpointSlices.Put(tx, slice(t, "192.0.2.3:6443", "192.0.2.2:6443", "127.0.0.1:6443"))
			tables.EndpointSlices.Put(tx, six)
			tables.EndpointSlices.Put(tx, other)
		})
		if have, want := kept(), "192.0.2.2:6443 192.0.2.3:6443 [2001:db8::2]:6443"; have != want {
			t.Errorf("%q is kept, want %q", have, want)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info, err)
		}
		put(t, db, func(tx *state.Tx) {
			tables.EndpointSlices.Put(tx, slice(t))
			tables.EndpointSlices.Delete(tx, table.ObjectKey("default", "kubernetes-6"))
		})
		if have := kept(); !strings.HasPrefix(have, "192.0.2.2:6443") {
			t.Errorf("%q is kept of a cluster that names no server", have)
		}
		if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
			t.Error("files are left beside it: ", left, err)
		}
		if want := []string{"192.0.2.1:6443", "192.0.2.2:6443", "192.0.2.3:6443", "[2001:db8::2]:6443", "127.0.0.1:9"}; !slices.Equal(s.addresses(), want) {
			t.Errorf("%q are tried, want %q", s.addresses(), want)
		}
		stop()
	})
}

func TestANodeBootsWithAServerThatItKnewWhenTheConfiguredOneIsGone(t *testing.T) {
	gone, lives := serve(t, "gone"), serve(t, "lives")
	gone.Close()
	at, err := url.Parse(lives.URL)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "api-servers")
	if err := os.WriteFile(file, []byte("192.0.2.1\n:\nname:80\n192.0.2.1:0\n\x00\xff\n"+at.Host+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := ConnectAndKeep(kubeconfig(t, "https://127.0.0.1:9"), "test", gone.URL, file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if said := ask(t, c); said != "lives" {
		t.Errorf("%q, want the server that the file names", said)
	}
}

func TestNoServerIsLearnedThatNeedNotProveThatItIsOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api-servers")
	for known, list := range map[string]string{"http://127.0.0.1:9": "http://192.0.2.1:80", "https://127.0.0.1:9": ""} {
		if _, s, err := ConnectAndKeep(kubeconfig(t, known), "test", list, file, slog.Default()); s != nil || err != nil {
			t.Errorf("%s: %v, %v", known, s, err)
		}
	}
}

func TestADiskThatTakesNothingIsNoReasonToForgetAServer(t *testing.T) {
	s := &Servers{known: "127.0.0.1:9", file: filepath.Join(t.TempDir(), "a\x00b", "api-servers"), log: slog.New(slog.DiscardHandler)}
	s.learn([]string{"192.0.2.2:6443"})
	if have := s.addresses(); !slices.Equal(have, []string{"192.0.2.2:6443", "127.0.0.1:9"}) {
		t.Error(have)
	}
}
