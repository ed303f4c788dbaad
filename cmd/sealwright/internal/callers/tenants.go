package callers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// NewTenants returns the command tenants.
func NewTenants(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenants",
		Short: "Separate the keys and callers of teams; for operators",
		Example: `  sealwright tenants create payments
  sealwright callers create boss --role tenant-admin --tenant payments`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		t.tenant("create", "Create a tenant", func(cmd *cobra.Command, name string) (*api.Tenant, error) {
			out := &api.Tenant{}
			return out, t.Call(cmd.Context(), http.MethodPost, "/v1/tenants", api.CreateTenant{Name: name}, out)
		}),
		t.tenant("show", "Show a tenant", func(cmd *cobra.Command, name string) (*api.Tenant, error) {
			out := &api.Tenant{}
			return out, t.Call(cmd.Context(), http.MethodGet, tenantPath(name), nil, out)
		}),
		t.tenant("disable", "Refuse the callers of a tenant", t.setTenant(true)),
		t.tenant("enable", "Accept the callers of a tenant again", t.setTenant(false)),
		t.listTenants(),
	)
	return cmd
}

func tenantPath(name string) string { return "/v1/tenants/" + url.PathEscape(name) }

func (t Tools) setTenant(disabled bool) func(*cobra.Command, string) (*api.Tenant, error) {
	return func(cmd *cobra.Command, name string) (*api.Tenant, error) {
		out := &api.Tenant{}
		return out, t.Call(cmd.Context(), http.MethodPatch, tenantPath(name), api.ChangeTenant{Disabled: disabled}, out)
	}
}

func (t Tools) tenant(use, short string, do func(*cobra.Command, string) (*api.Tenant, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Example: "  sealwright tenants " + use + " payments", Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			tenant, err := do(cmd, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), tenant)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", terminal.Printable(tenant.Name), state(*tenant))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the tenant as JSON")
	return cmd
}

func state(t api.Tenant) string {
	if t.Disabled {
		return "disabled"
	}
	return "enabled"
}

func (t Tools) listTenants() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the tenants by name", Example: "  sealwright tenants list", Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := []api.Tenant{}
			for cursor := ""; ; {
				var page api.TenantList
				if err := t.Call(cmd.Context(), http.MethodGet, "/v1/tenants?limit=1000&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
					return err
				}
				list = append(list, page.Items...)
				if cursor = page.NextCursor; cursor == "" {
					break
				}
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), list)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprint(w, "NAME\tSTATE\tCREATED\n")
			for _, v := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\n", terminal.Printable(v.Name), state(v), instant(v.CreatedAt))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the tenants as JSON")
	return cmd
}

// NewRoles returns the command roles.
func NewRoles(t Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "roles",
		Short: "Show what roles allow, and make roles of a tenant",
		Example: `  sealwright roles list
  sealwright roles set rotator --action key.read,key.rotate`,
		Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.listRoles(), t.showRole(), t.setRole(), t.deleteRole())
	return cmd
}

func rolePath(name string) string { return "/v1/roles/" + url.PathEscape(name) }

func (t Tools) listRoles() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the built-in roles and those of the tenant", Example: "  sealwright roles list", Args: t.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list api.RoleList
			if err := t.Call(cmd.Context(), http.MethodGet, "/v1/roles", nil, &list); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), list.Items)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprint(w, "NAME\tACTIONS\n")
			for _, r := range list.Items {
				fmt.Fprintf(w, "%s\t%s\n", terminal.Printable(r.Name), terminal.Printable(strings.Join(r.Actions, " ")))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the roles as JSON")
	return cmd
}

func (t Tools) showRole() *cobra.Command {
	return t.role("show NAME", "Show what a role allows", "  sealwright roles show signer", func(cmd *cobra.Command, name string, out *api.Role) error {
		return t.Call(cmd.Context(), http.MethodGet, rolePath(name), nil, out)
	})
}

func (t Tools) setRole() *cobra.Command {
	var in api.SetRole
	cmd := t.role("set NAME", "Make a role, or change what it means, also for those who have it",
		"  sealwright roles set rotator --action key.read,key.rotate", func(cmd *cobra.Command, name string, out *api.Role) error {
			return t.Call(cmd.Context(), http.MethodPut, rolePath(name), in, out)
		})
	cmd.Flags().StringSliceVar(&in.Actions, "action", nil, "`NAME` of an action, several with commas")
	return cmd
}

func (t Tools) role(use, short, example string, do func(*cobra.Command, string, *api.Role) error) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			var r api.Role
			if err := do(cmd, args[0], &r); err != nil {
				return err
			}
			if asJSON {
				return t.PrintJSON(cmd.OutOrStdout(), r)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", terminal.Printable(r.Name), terminal.Printable(strings.Join(r.Actions, " ")))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the role as JSON")
	return cmd
}

func (t Tools) deleteRole() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a role that nobody has", Example: "  sealwright roles delete rotator", Args: t.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.Call(cmd.Context(), http.MethodDelete, rolePath(args[0]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", terminal.Printable(args[0]))
			return err
		},
	}
}
