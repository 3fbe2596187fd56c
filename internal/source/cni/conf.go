package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/journal"
)

// ConfName is the name of the configuration that container runtimes find. The smallest name in the folder wins.
const ConfName = "05-weft.conflist"

// Conf is what a node's CNI configuration says; empty fields are left to weft-cni's defaults.
type Conf struct {
	Type    string // weft-cni or cilium-cni; empty: weft-cni
	Socket  string
	LogFile string
	// The node's programs lead hostPorts on (enable-host-port), so the portmap plugin is not chained.
	HostPorts bool
}

// WriteConf makes the node's CNI configuration, whole, and lets it take the place of one that is there: from then on the
// runtime counts the node's network as ready. An equal one is left alone. Nothing ever takes it away, for pods may be
// created while the agent restarts (their ADD is repeated until it is back), and configurations of other plugins are
// not touched.
//
// Its version is 1.0.0, not 1.1.0, on purpose: from 1.1.0 on runtimes ask for STATUS every few seconds and report the whole
// node as not ready when it fails, so each restart of the agent would take the node's pods out of their services.
//
// The chained portmap plugin serves hostPort; its snat lets a pod reach itself through its own hostPort. Where the node's programs do that it
// is left out, and weft-cni hears of hostPorts instead: what portmap did for a pod before has to go with the pod (package plugin).
func WriteConf(dir string, c Conf) error {
	weft := map[string]any{"type": "weft-cni"}
	for key, value := range map[string]string{"type": c.Type, "socket": c.Socket, "log-file": c.LogFile} {
		if value != "" {
			weft[key] = value
		}
	}
	capabilities := map[string]bool{"portMappings": true}
	plugins := []any{weft}
	if c.HostPorts {
		weft["capabilities"] = capabilities
	} else {
		plugins = append(plugins, map[string]any{"type": "portmap", "snat": true, "capabilities": capabilities})
	}
	data, err := json.MarshalIndent(map[string]any{"cniVersion": "1.0.0", "name": "weft", "plugins": plugins}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode CNI configuration: %w", err)
	}
	data = append(data, '\n')
	path := filepath.Join(dir, ConfName)
	if had, err := os.ReadFile(path); err == nil && string(had) == string(data) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write CNI configuration: %w", err)
	}
	if err := journal.Write(path, data, 0o644); err != nil {
		return fmt.Errorf("write CNI configuration: %w", err)
	}
	return nil
}

// RemoveConf takes the node's CNI configuration away: the runtime starts no pods any more, until another plugin brings its
// own. It tells whether there was one.
func RemoveConf(dir string) (bool, error) {
	err := os.Remove(filepath.Join(dir, ConfName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove CNI configuration: %w", err)
	}
	return true, nil
}

// isMultus tells whether a program, or a type of plugin, is one of Multus: multus, multus-shim, multus-daemon.
func isMultus(name string) bool { return strings.HasPrefix(name, "multus") }

// MultusConf is the file of the configuration that a container runtime finds in a folder, if that is of Multus, which calls other plugins; else
// empty.
func MultusConf(dir string) string {
	if dir == "" {
		return ""
	}
	entries, _ := os.ReadDir(dir) // without it nothing calls anything
	for _, e := range entries {   // in order of their names
		if !slices.Contains([]string{".conf", ".conflist", ".json"}, filepath.Ext(e.Name())) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(path)
		var conf struct {
			Type    string
			Plugins []struct{ Type string }
		}
		if err != nil || json.Unmarshal(data, &conf) != nil {
			continue // runtimes pass it over
		}
		if len(conf.Plugins) > 0 {
			conf.Type = conf.Plugins[0].Type
		}
		if isMultus(conf.Type) {
			return path
		}
		return ""
	}
	return ""
}
