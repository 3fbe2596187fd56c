package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/goldentest"
)

// run runs a command line against an agent that gives one document, and says what it was asked.
func run(t *testing.T, document string, args ...string) (out, asked string, err error) {
	t.Helper()
	var text bytes.Buffer
	c := Command(Environment{Out: &text, Get: func(_ context.Context, _, path string, into any) error {
		asked = path
		body, err := os.ReadFile(filepath.Join("testdata", document))
		if err != nil {
			return err
		}
		return json.Unmarshal(body, into)
	}})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return text.String(), asked, err
}

func TestAnswersAreTextOfOneLineForEachThing(t *testing.T) {
	for _, c := range []struct{ document, golden, err, args string }{
		{"list.json", "list.txt", "the kernel does not have 1 of these frontends as they should be, of which 192.0.2.7:80/tcp of shop/web: map services is full", "list"},
		{"list.json", "list-wide.txt", "the kernel does not have 1 of these frontends as they should be, of which 192.0.2.7:80/tcp of shop/web: map services is full", "list -o wide"},
		{"empty.json", "empty.txt", "", "list -n none"},
		{"empty.json", "empty.yaml", "", "list -o yaml"},
		{"show.json", "show.txt", "10.96.0.20:80/tcp: slot 1 leads to backend 9, which map backends does not have", "show shop/web"},
		{"show.json", "show.json", "10.96.0.20:80/tcp: slot 1 leads to backend 9, which map backends does not have", "show shop/web -o json"},
		{"redirect.json", "redirect.txt", "", "show 169.254.169.254:80"},
		{"trace.json", "trace.txt", "10.96.0.20:80/tcp: slot 1 leads to backend 9, which map backends does not have\n10.96.0.20:80/tcp: no slot leads to 10.244.2.9:8080", "trace shop/cart 10.96.0.20:80"},
		{"refused.json", "refused.txt", "", "trace shop/cart 10.96.0.10:53 udp"},
	} {
		out, _, err := run(t, c.document, strings.Fields(c.args)...)
		goldentest.Equal(t, filepath.Join("testdata", c.golden), out)
		if text := ""; err != nil || c.err != "" {
			if err != nil {
				text = err.Error()
			}
			if text != c.err {
				t.Errorf("%s: %s, want %s", c.args, text, c.err)
			}
		}
	}
}

func TestFiltersAndNamesReachTheAgent(t *testing.T) {
	for args, want := range map[string]string{
		"list": "/v1/services?",
		"list -n shop -n kube-system --port 53 --protocol udp": "/v1/services?namespace=shop&namespace=kube-system&port=53&protocol=udp",
		"list --ip 10.96.0.0/12 --backend 10.0.0.1":            "/v1/services?backend=10.0.0.1&ip=10.96.0.0%2F12",
	} {
		if _, asked, err := run(t, "empty.json", strings.Fields(args)...); err != nil || asked != want {
			t.Errorf("%s: asked %s, %v", args, asked, err)
		}
	}
	for args, want := range map[string]string{"show web": "default%2Fweb", "show web -n shop": "shop%2Fweb", "show shop/web": "shop%2Fweb", "show 10.96.0.20:80/tcp": "10.96.0.20%3A80%2Ftcp", "show [fd00::1]:80 -n shop": "%5Bfd00%3A%3A1%5D%3A80"} {
		if _, asked, _ := run(t, "show.json", strings.Fields(args)...); asked != "/v1/services/show?of="+want {
			t.Errorf("%s: asked %s", args, asked)
		}
	}
	if _, asked, _ := run(t, "refused.json", "trace", "shop/cart", "[fd00::1]:53", "udp"); asked != "/v1/services/trace?from=shop%2Fcart&protocol=udp&to=%5Bfd00%3A%3A1%5D%3A53" {
		t.Errorf("asked %s", asked)
	}
}

func TestALineThatMakesNoSenseAsksNothing(t *testing.T) {
	for _, args := range []string{"list shop", "list --port http", "list --ip here", "list -o text2", "show", "show a b", "show shop/web -n other", "nothing", "trace a/b", "trace a/b 10.0.0.1:80 icmp", "trace a b c d"} {
		_, asked, err := run(t, "empty.json", strings.Fields(args)...)
		var usage mistake.Error
		if asked != "" || !errors.As(err, &usage) {
			t.Errorf("%s: asked %q, %v", args, asked, err)
		}
	}
}
