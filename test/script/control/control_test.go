package control

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/rogpeppe/go-internal/testscript"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/scripttest"
)

func TestScripts(t *testing.T) {
	start := func(env *testscript.Env) (scripttest.Bench, error) {
		dir, err := memory(env)
		if err != nil {
			return nil, err
		}
		b, err := newBench(dir)
		if err != nil {
			return nil, err
		}
		env.Defer(b.stop)
		return b, nil
	}
	scripttest.Run(t, ".", start, map[string]scripttest.Command{
		"add": add, "added": added, "del": del, "gone": gone, "api": apiIs, "kernel": kernelHas,
	})
}

// memory is a folder in memory if possible: journals are synced to disk at every step.
func memory(env *testscript.Env) (string, error) {
	dir, err := os.MkdirTemp("/dev/shm", "weft-control-")
	if err != nil {
		return env.WorkDir, nil //nolint:nilerr // the disk does as well
	}
	env.Defer(func() { os.RemoveAll(dir) })
	return dir, nil
}

func benchOf(ts *testscript.TestScript) *bench { return scripttest.BenchOf(ts).(*bench) }

const patience = 30 * time.Second

// podOf splits NAMESPACE/POD; the namespace may be left out.
func podOf(name string) (namespace, pod string) {
	if namespace, pod, ok := strings.Cut(name, "/"); ok {
		return namespace, pod
	}
	return "default", name
}

func (b *bench) request(name string) agentv1.Request {
	namespace, pod := podOf(name)
	return agentv1.Request{
		ContainerID: namespace + "-" + pod, Interface: "eth0", Netns: b.netns,
		Args:   fmt.Sprintf("IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s", namespace, pod),
		Config: json.RawMessage(`{"cniVersion":"1.0.0","name":"weft","type":"weft-cni"}`),
	}
}

// answer is what came of an ADD.
type answer struct {
	result any
	err    error
}

func add(ts *testscript.TestScript, args []string) error {
	b := benchOf(ts)
	done := make(chan answer, 1)
	b.answers[args[0]] = done
	l := b.life
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		l.configured(ctx)
		result, err := l.cni.Add(ctx, b.request(args[0]))
		done <- answer{result, err}
	}()
	return nil
}

func added(ts *testscript.TestScript, args []string) error {
	a := <-benchOf(ts).answers[args[0]]
	if a.err != nil {
		return a.err
	}
	text, err := json.Marshal(a.result)
	if err != nil {
		return err
	}
	var result types100.Result
	if err := json.Unmarshal(text, &result); err != nil {
		return err
	}
	for _, ip := range result.IPs {
		fmt.Fprintln(ts.Stdout(), ip.Address.IP)
	}
	return nil
}

func del(ts *testscript.TestScript, args []string) error {
	b := benchOf(ts)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := b.life.cni.Del(ctx, b.request(args[0]))
	return err
}

func gone(ts *testscript.TestScript, args []string) error {
	return benchOf(ts).api.each([]byte(ts.ReadFile(args[0])), benchOf(ts).api.remove)
}

func apiIs(ts *testscript.TestScript, args []string) error {
	benchOf(ts).api.be(args[0] == "away")
	return nil
}

func kernelHas(ts *testscript.TestScript, args []string) error {
	if err := benchOf(ts).life.settle(); err != nil {
		return err
	}
	text, err := benchOf(ts).kernel.print(args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(ts.Stdout(), text)
	return err
}
