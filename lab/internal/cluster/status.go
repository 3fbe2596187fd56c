package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/lab/internal/kube"
	"weftnet.io/weftnet/lab/internal/namespace"
	"weftnet.io/weftnet/lab/internal/node"
	"weftnet.io/weftnet/lab/internal/process"
	"weftnet.io/weftnet/lab/internal/topology"
)

// Status prints how the cluster does. It fails when something that should run does not.
func (l *Lab) Status(ctx context.Context, out io.Writer) error {
	c, err := l.Config()
	if err != nil {
		return err
	}
	t, err := c.topology()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "lab in %s: %s\nAPI server https://%s, kubeconfig %s\n\n", l.Dir, c, t.APIServer(), l.Kubeconfig())
	if err := l.health(t, false); err != nil {
		return err
	}
	client, err := l.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	nodes, err := client.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("ask the API server: %w", err)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tPID 1\tADDRESSES\tPODS\tREADY\tRESTARTS")
	for i := range nodes.Items {
		n := &nodes.Items[i]
		r, err := process.Load(l.pidFile(n.Name))
		if err != nil {
			return err
		}
		state, err := node.LoadState(l.Run(n.Name))
		if err != nil {
			return err
		}
		ready := "yes"
		if ok, why := kube.Ready(n); !ok {
			ready = "no: " + why
		}
		var addrs []string
		for _, a := range n.Status.Addresses {
			if a.Type == "InternalIP" {
				addrs = append(addrs, a.Address)
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", n.Name, r.PID, strings.Join(addrs, " "), strings.Join(n.Spec.PodCIDRs, " "), ready, restarts(state))
	}
	w.Flush()
	return l.podStatus(ctx, out, client)
}

func restarts(s node.State) string {
	var out []string
	for name, c := range s.Components {
		if c.Starts > 1 {
			out = append(out, fmt.Sprintf("%s %d (%s)", name, c.Starts-1, c.LastExit))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (l *Lab) podStatus(ctx context.Context, out io.Writer, client *kube.Client) error {
	pods, err := client.Typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	waiting := 0
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Status.Phase == "Succeeded" {
			continue
		}
		if why := kube.Waiting(p); why != "" {
			waiting++
			fmt.Fprintf(out, "\npod %s/%s: %s", p.Namespace, p.Name, why)
		}
	}
	fmt.Fprintf(out, "\n%d pods, %d not ready\n", len(pods.Items), waiting)
	return nil
}

// Logs prints the end of the logs of what: a process (control-plane, node1), a component of all nodes (kubelet), or a container of
// pods (cilium-agent). They are files, so a cluster that is broken has them, too. Without what, Logs lists what there is. With follow
// it does not return.
func (l *Lab) Logs(what string, lines int, follow bool) error {
	processes, err := filepath.Glob(l.Run("log/*.log"))
	if err != nil {
		return err
	}
	// kubelet's layout: NAMESPACE_POD_UID/CONTAINER/RESTARTS.log
	containers, err := filepath.Glob(l.Run("node*/log/pods/*/*/*.log"))
	if err != nil {
		return err
	}
	if len(processes) == 0 {
		return fmt.Errorf("there are no logs in %s: no lab has been up since the last `weft-lab down`", l.Run("log"))
	}
	var names, files []string
	note := func(name, file string, match bool) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if match {
			files = append(files, file)
		}
	}
	for _, f := range processes {
		name := strings.TrimSuffix(filepath.Base(f), ".log")
		note(name, f, name == what || strings.HasSuffix(name, "-"+what))
	}
	for _, f := range containers {
		name := filepath.Base(filepath.Dir(f))
		note(name, f, name == what)
	}
	list := "logs: " + strings.Join(names, " ")
	if what == "" {
		fmt.Println(list)
		return nil
	}
	if len(files) == 0 {
		return fmt.Errorf("no log %q; %s", what, list)
	}
	args := []string{"-n", fmt.Sprint(lines)}
	if follow {
		args = append(args, "-F")
	}
	cmd := exec.Command("tail", append(args, files...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// Exec runs a command inside a node, or in the network namespace "outside", with the caller's standard streams.
func (l *Lab) Exec(ctx context.Context, name string, argv []string, in io.Reader, out, errout io.Writer) error {
	run := func() error {
		program := argv[0]
		if own := l.Bin(program); filepath.Base(program) == program && exists(own) {
			program = own // the lab's programs need no path
		}
		cmd := exec.CommandContext(ctx, program, argv[1:]...)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errout
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(l.Dir, "bin")+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		if name == topology.OutsideName {
			// The command must not outlive us. (Inside a node a process cannot see its parent, and this would kill it at once.)
			cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
		} else if group, err := os.Open(l.NodeCgroup(name)); err == nil {
			defer group.Close()
			cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
		}
		return cmd.Run()
	}
	if name == topology.OutsideName {
		return namespace.InNetwork(filepath.Join(namespace.Dir, topology.Prefix+name), run)
	}
	pid, err := l.NodePID(name)
	if err != nil {
		return err
	}
	return namespace.InProcess(pid, run)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
