package main

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// server has the routes: WebRTC behind the token, the API, the metrics.
func (c *core) server() http.Handler {
	server := echo.New()
	server.HideBanner = true

	// The core's own server passes requests in; it could as well let the library listen.
	rtc := echo.WrapHandler(c)
	for _, path := range []string{"/whep/*", "/whip/*"} {
		server.Any(path, rtc, c.asksForToken)
	}
	server.GET("/play/*", rtc)
	server.GET("/publish/*", rtc)
	server.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(c.registry, promhttp.HandlerOpts{})))

	api := server.Group("/api/v3")
	api.POST("/process", c.addProcess)
	api.GET("/process/:id", c.showProcess)
	api.DELETE("/process/:id", withID(c.restream.remove))
	api.PUT("/process/:id/start", withID(c.restream.start))
	api.PUT("/process/:id/stop", withID(c.restream.stop))
	api.PUT("/process/:id/restart", withID(c.restream.restart))
	api.GET("/webrtc", func(ctx echo.Context) error { return ctx.JSONBlob(http.StatusOK, c.rtc.Load().Stats().JSON) })
	api.PUT("/reload", func(ctx echo.Context) error { return answer(ctx, c.reload()) })
	return server
}

// asksForToken lets in who brings the token. Only a POST needs it: the URL that it gives is a secret of its own, and
// browsers ask with OPTIONS before they bring anything.
func (c *core) asksForToken(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		if ctx.Request().Method != http.MethodPost || c.options.token == "" {
			return next(ctx)
		}
		brought, isBearer := strings.CutPrefix(ctx.Request().Header.Get(echo.HeaderAuthorization), "Bearer ")
		if !isBearer {
			brought = ctx.QueryParam("token")
		}
		if subtle.ConstantTimeCompare([]byte(brought), []byte(c.options.token)) != 1 {
			ctx.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
			// Or a page of another origin sees a failed request and no 401.
			ctx.Response().Header().Set(echo.HeaderAccessControlAllowOrigin, "*")
			return echo.NewHTTPError(http.StatusUnauthorized)
		}
		return next(ctx)
	}
}

func (c *core) addProcess(ctx echo.Context) error {
	var config config
	if err := ctx.Bind(&config); err != nil {
		return err
	}
	return answer(ctx, c.restream.add(config))
}

func (c *core) showProcess(ctx echo.Context) error {
	return withID(func(id string) error {
		c.restream.lock.Lock()
		defer c.restream.lock.Unlock()
		task, exists := c.restream.tasks[id]
		if !exists {
			return errUnknown
		}
		shown := map[string]any{"id": id, "order": "stop"}
		if task.ffmpeg != nil {
			shown["order"] = "start"
			shown["pid"], shown["starts"] = task.ffmpeg.state()
			shown["command"] = task.ffmpeg.command
		}
		return ctx.JSON(http.StatusOK, shown)
	})(ctx)
}

// withID runs fn on the id of the path, which may hold an escaped slash.
func withID(fn func(id string) error) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		id, err := url.PathUnescape(ctx.Param("id"))
		if err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, err.Error())
		}
		return answer(ctx, fn(id))
	}
}

func answer(ctx echo.Context, err error) error {
	switch {
	case errors.Is(err, errUnknown):
		return echo.NewHTTPError(http.StatusNotFound, err.Error())
	case err != nil:
		return echo.NewHTTPError(http.StatusBadRequest, err.Error())
	case ctx.Response().Committed:
		return nil
	default:
		return ctx.NoContent(http.StatusNoContent)
	}
}
