// Package kubernetes runs Kubernetes components as libraries: the control plane in one process, and each command under its own name.
// Only the weft-kube binary imports it; it links most of Kubernetes.
//
// The commands cannot simply be run side by side: each installs a process-wide signal handler and panics when there is one already.
// So the control plane goes one level deeper, to the options and Run functions of each component.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controllermanageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"weftnet.io/weftnet/lab/internal/controlplane"
)

// RunControlPlane runs etcd, API server, controller manager and scheduler until SIGTERM or until one of them ends.
func RunControlPlane(cfg controlplane.Config) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	store, err := startEtcd(cfg.Etcd)
	if err != nil {
		return err
	}
	defer store.Close()

	ended := make(chan error, 3)
	run := func(name string, f func(context.Context) error) {
		go func() {
			err := f(ctx)
			if err == nil {
				err = errors.New("ended by itself")
			}
			ended <- fmt.Errorf("%s: %w", name, err)
		}()
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	server, err := apiServerOptions(cfg.APIServer)
	if err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	run("kube-apiserver", func(ctx context.Context) error { return runAPIServer(ctx, server) })
	if err := awaitReady(ctx, cfg.Kubeconfig, ended); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "kube-apiserver is ready")
	run("kube-controller-manager", func(ctx context.Context) error { return runControllerManager(ctx, cfg.ControllerManager) })
	run("kube-scheduler", func(ctx context.Context) error { return runScheduler(ctx, cfg.Scheduler) })
	select {
	case err := <-ended:
		if ctx.Err() == nil {
			return err
		}
	case <-ctx.Done():
	}
	return nil
}

// apiServerOptions parses the flags and applies what is global to the process: feature gates and logging.
func apiServerOptions(flags []string) (*apiserveroptions.ServerRunOptions, error) {
	s := apiserveroptions.NewServerRunOptions()
	if err := parse(s.Flags(), flags); err != nil {
		return nil, err
	}
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	return s, logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate)
}

func runAPIServer(ctx context.Context, s *apiserveroptions.ServerRunOptions) error {
	completed, err := s.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return errors.Join(errs...)
	}
	return apiserver.Run(ctx, completed)
}

func runControllerManager(ctx context.Context, flags []string) error {
	o, err := controllermanageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	known, off, aliases := controllermanager.KnownControllers(), controllermanager.ControllersDisabledByDefault(), controllermanager.ControllerAliases()
	sets := o.Flags(known, off, aliases)
	o.ParsedFlags = &sets
	if err := parse(sets, flags); err != nil {
		return err
	}
	c, err := o.Config(ctx, known, off, aliases)
	if err != nil {
		return err
	}
	return controllermanager.Run(ctx, c.Complete())
}

func runScheduler(ctx context.Context, flags []string) error {
	o := scheduleroptions.NewOptions()
	if err := parse(*o.Flags, flags); err != nil {
		return err
	}
	cfg, sched, err := scheduler.Setup(ctx, o)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, cfg, sched)
}

func parse(sets cliflag.NamedFlagSets, args []string) error {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	for _, f := range sets.FlagSets {
		fs.AddFlagSet(f)
	}
	return fs.Parse(args)
}

// awaitReady polls /readyz: the other components exit when they find no API server.
func awaitReady(ctx context.Context, kubeconfig string, ended <-chan error) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return err
	}
	for {
		if r, err := client.Get(cfg.Host + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
