package dial

import (
	"errors"
	"io/fs"
	"syscall"
)

// Advice says what to look at when a socket of this node's agent cannot be reached; beside is what else may be the reason.
func Advice(err error, beside string) string {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EACCES):
		return "; only root may ask: use sudo"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return "; does it run on this node? kubectl -n kube-system get pods -l k8s-app=cilium -o wide" + beside
	}
	return ""
}
