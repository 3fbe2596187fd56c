package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/report"
)

const (
	each   = 10       // pods of a kind
	uplink = "ens192" // what their further NICs are on
)

// variant is a kind of pod.
type variant struct {
	ipam string
	nics int
	pods []*nettest.Pod // that ask for NICs
}

func (v variant) String() string {
	if v.nics == 1 {
		return "1 NIC, " + v.ipam
	}
	return fmt.Sprintf("%d NICs, %s", v.nics, v.ipam)
}

// config is the configuration of a NIC of a pod that does not say its own address.
func (b Bench) config(v variant, pod, nic int) string {
	ipam := fmt.Sprintf(`{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.70.%d.0/24"}]]}`, b.Dir+"/by-hand", nic)
	if v.ipam == "static" {
		ipam = fmt.Sprintf(`{"type":"static","addresses":[{"address":"10.71.%d.%d/24"}]}`, nic, pod+10)
	}
	return fmt.Sprintf(`{"cniVersion":"1.0.0","name":"by-hand-%d","type":"macvlan","master":%q,"mode":"bridge","ipam":%s}`, nic, uplink, ipam)
}

// networks are the definitions for pods that ask.
func (b Bench) networks() string {
	const definition = "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: %s-%d, namespace: default}\n" +
		`spec: {config: '{"cniVersion":"1.0.0","name":"%[1]s-%[2]d","type":"macvlan","master":"` + uplink + `","mode":"bridge","ipam":%[3]s}'}` + "\n---\n"
	var out strings.Builder
	for nic := range 4 {
		fmt.Fprintf(&out, definition, "static", nic, `{"type":"static"}`)
		fmt.Fprintf(&out, definition, "host-local", nic, fmt.Sprintf(`{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.72.%d.0/24"}]]}`, b.Dir+"/asked", nic))
	}
	return out.String()
}

// asks is a pod's annotation.
func (v variant) asks(pod int) string {
	var list []map[string]any
	for nic := range v.nics {
		one := map[string]any{"name": fmt.Sprintf("%s-%d", v.ipam, nic)}
		if v.ipam == "static" {
			one["ips"] = []string{fmt.Sprintf("10.73.%d.%d/24", nic, 20*v.nics+pod)}
		}
		list = append(list, one)
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // of texts
	}
	return string(text)
}

// script enters the agent's control group, so that what it starts has no less of a CPU, waits until it is let go, and then calls the plugin $0 with the configuration $1, and the plugin $2 with each that follows. Without a
// first plugin it calls only the others.
const script = `for f in $WEFT_GROUP; do echo $$ >"$f"; done
echo >&4; exec 4>&-; read -r go <&3; exec 3<&-
weft="$0"; first="$1"; delegate="$2"; shift 2
[ -z "$weft" ] || "$weft" <"$first" || exit
i=0
for config in "$@"; do i=$((i+1)); CNI_IFNAME=net$i "$delegate" <"$config" || exit; done`

// call makes a CNI call, and those of delegates by hand: how long that took, in ms.
func (b Bench) call(n *nettest.Node, p *nettest.Pod, weft, command string, byHand []string) (float64, error) {
	c, err := p.Command(b.WeftCNI, command)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(c.Stdin)
	if err != nil {
		return 0, err
	}
	first := filepath.Join(b.Dir, "weft.json")
	if err := os.WriteFile(first, text, 0o600); err != nil {
		return 0, err
	}
	go1, letGo, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer letGo.Close()
	waiting, waits, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer waiting.Close()
	shell := exec.Command("/bin/sh", append([]string{"-c", script, weft, first, b.Find("macvlan")}, byHand...)...)
	var out bytes.Buffer
	shell.Env, shell.Stdout, shell.Stderr, shell.ExtraFiles = append(c.Env, "CNI_PATH="+strings.Join(b.Plugins, ":"), "WEFT_GROUP="+strings.Join(b.group, " ")), &out, &out, []*os.File{go1, waits}
	err = n.Namespace.Start(shell)
	go1.Close()
	waits.Close()
	if err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(waiting, make([]byte, 1)); err != nil {
		return 0, errors.Join(fmt.Errorf("wait until the shell waits: %w", err), shell.Wait())
	}
	began := time.Now()
	letGo.Close()
	if err := shell.Wait(); err != nil {
		return 0, fmt.Errorf("CNI %s of %s: %w: %s", command, p.Station.Name, err, out.String())
	}
	return float64(time.Since(began)) / float64(time.Millisecond), nil
}

// Adds measures ADDs of pods with further NICs.
func Adds(ctx context.Context, b Bench) (s report.Section, err error) {
	s.Title = "CNI ADD with further NICs"
	if what := b.lacking(); what != "" {
		return unmeasured(s.Title, what), nil
	}
	g, err := group("network-adds")
	if err != nil {
		return s, err
	}
	defer g.Close()
	b.group = g.Procs()
	c, n, err := b.Node("network-adds", g)
	if err != nil {
		return s, err
	}
	defer c.Close()
	if err := errors.Join(b.install(n), c.Wire().Uplink(uplink, n.Namespace), c.Apply(ctx, []byte(b.networks()))); err != nil {
		return s, err
	}
	// A pod with the same labels has been here already: no ADD waits for the cluster to agree on a number.
	if _, err := n.AddPod(ctx, nettest.PodSpec{Name: "first", Labels: map[string]string{"app": "crowd"}}); err != nil {
		return s, err
	}
	plain, err := crowd(n, "plain", func(int) string { return "" })
	if err != nil {
		return s, err
	}
	variants := []variant{{ipam: "static", nics: 1}, {ipam: "static", nics: 4}, {ipam: "host-local", nics: 1}, {ipam: "host-local", nics: 4}}
	for i, v := range variants {
		if variants[i].pods, err = crowd(n, fmt.Sprintf("%s-%d-", v.ipam, v.nics), v.asks); err != nil {
			return s, err
		}
	}
	if err := c.Settle(ctx); err != nil {
		return s, err
	}
	var runs []run
	runs = append(runs, run{name: "no further NIC", pods: plain, weft: b.WeftCNI, ours: true})
	for _, v := range variants {
		runs = append(runs, run{name: v.String(), pods: v.pods, weft: b.WeftCNI, ours: true},
			run{name: v.String() + ", by hand", pods: plain, weft: b.WeftCNI, byHand: v}, run{name: v.String() + ", the plugins alone", pods: plain, byHand: v})
	}
	for round := range b.Rounds {
		for i := range runs {
			if err := runs[i].measure(ctx, b, n); err != nil {
				return s, fmt.Errorf("%s: %w", runs[i].name, err)
			}
			b.Progress("round %d/%d  %-40s p50 %6.1f ms", round+1, b.Rounds, runs[i].name, runs[i].p50[round])
			if err := c.Settle(ctx); err != nil {
				return s, err
			}
		}
	}
	tellAdds(&s, runs)
	return s, nil
}

// crowd makes pods that are not attached yet.
func crowd(n *nettest.Node, prefix string, asks func(pod int) string) (list []*nettest.Pod, err error) {
	for i := range each {
		spec := nettest.PodSpec{Name: fmt.Sprint(prefix, i), Labels: map[string]string{"app": "crowd"}}
		if text := asks(i); text != "" {
			spec.Annotations = map[string]string{cncfv1.NetworksAnnotation: text}
		}
		p, err := n.PreparePod(spec)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// run is a way to give pods NICs, and how long that took: the median and the 99th part of a hundred of each round.
type run struct {
	name     string
	pods     []*nettest.Pod
	weft     string  // the plugin that is called first; empty: none
	byHand   variant // the delegates that are called then
	ours     bool
	p50, p99 []float64
}

// measure attaches all, one after the other, and detaches them.
func (r *run) measure(ctx context.Context, b Bench, n *nettest.Node) error {
	files := make([][]string, len(r.pods))
	for i := range r.pods {
		for nic := range r.byHand.nics {
			file := filepath.Join(b.Dir, fmt.Sprintf("by-hand-%d-%d.json", i, nic))
			if err := os.WriteFile(file, []byte(b.config(r.byHand, i, nic)), 0o600); err != nil {
				return err
			}
			files[i] = append(files[i], file)
		}
	}
	var took []float64
	for i, p := range r.pods {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		ms, err := b.call(n, p, r.weft, "ADD", files[i])
		if err != nil {
			return err
		}
		took = append(took, ms)
	}
	for i, p := range r.pods {
		if _, err := b.call(n, p, r.weft, "DEL", files[i]); err != nil {
			return err
		}
	}
	r.p50, r.p99 = append(r.p50, report.Median(took)), append(r.p99, report.Quantile(took, 0.99))
	return nil
}

// tellAdds writes down what was measured. Runs are: no NIC; then for each variant ours, by hand, the plugins alone.
func tellAdds(s *report.Section, runs []run) {
	wall := report.Table{Header: []string{"one at a time, ms", "p50", "p99", "by hand, p50", "by hand, p99", "ratio of p50", "what NICs add", "the plugins alone", "ratio"}}
	none := runs[0]
	wall.Rows = append(wall.Rows, []string{none.name, figure(none.p50), figure(none.p99), "-", "-", "-", "-", "-", "-"})
	g := chart.Group{Name: "p50", Unit: "ms", Bars: []chart.Bar{bar(none)}}
	for i := 1; i < len(runs); i += 3 {
		ours, hand, alone := runs[i], runs[i+1], runs[i+2]
		added := make([]float64, len(ours.p50))
		for round := range added {
			added[round] = ours.p50[round] - none.p50[round]
		}
		ratio := report.Ratio(ours.p50, hand.p50)
		wall.Rows = append(wall.Rows, []string{
			ours.name, figure(ours.p50), figure(ours.p99), figure(hand.p50), figure(hand.p99), fmt.Sprintf("%.2f", ratio),
			figure(added), figure(alone.p50), fmt.Sprintf("%.2f", report.Ratio(added, alone.p50)),
		})
		s.Targets = append(s.Targets, report.Aimed(ours.name+": the whole ADD, p50", "≤ 1.5 of the same by hand", fmt.Sprintf("%.2f", ratio), ratio <= 1.5))
		g.Bars = append(g.Bars, bar(ours), bar(hand))
	}
	s.Tables, s.Chart = []report.Table{wall}, chart.Chart{Title: s.Title, Groups: []chart.Group{g}}
	s.Notes = append(s.Notes, fmt.Sprintf("%d pods in each round. By hand is an ADD by weft-cni without further NICs, and then macvlan with its IPAM plugin once for each NIC, by a shell. ", each)+
		"What NICs add is the ADD with them less the one without, of the same round. With static addresses the agent asks the wire for 20 ms whether another machine has them, while it writes its record; "+
		"with host-local it does not.")
}

func figure(list []float64) string { return fmt.Sprintf("%.1f", report.Median(list)) }

func bar(r run) chart.Bar {
	return chart.Bar{Name: r.name, Value: report.Median(r.p50), Least: slices.Min(r.p50), Most: slices.Max(r.p50), Ours: r.ours}
}
