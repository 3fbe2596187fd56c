//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const image = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"

func dir() string {
	if d := os.Getenv("WEFT_LAB_DIR"); d != "" {
		return d
	}
	return "/var/tmp/weft-lab"
}

// lab runs weft-lab and returns what it printed.
func lab(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir(), "bin/weft-lab"), args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	err := cmd.Run()
	if err != nil {
		t.Logf("weft-lab %s: %v: %s", strings.Join(args, " "), err, errout.String())
	}
	return strings.TrimSpace(out.String()), err
}

// kubectl fails the test if it fails.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := lab(t, stdin, append([]string{"kubectl", "--"}, args...)...)
	if err != nil {
		t.FailNow()
	}
	return out
}

// kubectlAfter is kubectl in a cleanup, when the context of the test has ended.
func kubectlAfter(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(filepath.Join(dir(), "bin/weft-lab"), append([]string{"kubectl", "--"}, args...)...).CombinedOutput(); err != nil {
		t.Errorf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// eventually asks until the answer is yes, and fails with the last thing heard if that takes too long.
func eventually(t *testing.T, what string, ask func() (heard string, yes bool)) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute) // the operator looks at its certificate once a minute
	for {
		heard, yes := ask()
		if yes {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to pass that %s: %s", what, heard)
		}
		time.Sleep(200 * time.Millisecond) // between questions; nothing is true because time has passed
	}
}

// pod runs a pod for the length of the test and waits until it is ready. It pauses; commands are run in it with run.
func pod(t *testing.T, name string) {
	t.Helper()
	kubectl(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"`+name+`"},"spec":{"terminationGracePeriodSeconds":0,
		"containers":[{"name":"main","image":"`+image+`","args":["pause"]}]}}`, "apply", "-f", "-")
	t.Cleanup(func() { kubectlAfter(t, "delete", "pod", name, "--ignore-not-found") })
	kubectl(t, "", "wait", "--for=condition=Ready", "pod/"+name, "--timeout=2m")
}

func run(t *testing.T, pod string, argv ...string) string {
	t.Helper()
	return kubectl(t, "", append([]string{"exec", pod, "--"}, argv...)...)
}

// outside runs an HTTP server on the host outside the cluster until the test ends. It serves /clientip.
func outside(t *testing.T, port string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir(), "bin/weft-lab"), "node-exec", "outside", "--",
		filepath.Join(dir(), "bin/agnhost"), "netexec", "--udp-port=-1", "--http-port="+port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}
