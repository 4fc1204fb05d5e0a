import DCC
import struct DCC.RequestID
import HTTPTypes
import Hummingbird
import Tracking
import Wire

/// The Firmware Distribution Tracking screen: pages that are made here, whole, with links and
/// forms; a script only keeps them up to date.
struct ScreenRoutes: Sendable {
    static let pageLength = 50
    static let deviceLength = 100
    static let timelineLength = 500

    let pages: Pages
    let tracking: StoredTracking
    let world: any WorldControl
    let access: Access
    let watchers: Watchers
    /// Where DUIS requests go, for the empty page.
    let gateway: @Sendable () -> String

    func add(to router: Router<ConsoleContext>) {
        router.get("/") { try await list($0, $1) }
        router.get("/requests/{id}") { try await request($0, $1) }
        router.get("/requests/{id}/devices/{device}") { try await device($0, $1) }
        router.get("/homes") { try await homes($0, $1) }
        router.get("/notices") { try await notices($0, $1) }
        router.get("/events") { request, _ in
            try watchers.stream(after: request.headers[.lastEventID])
        }
        router.get("/requests.csv") { request, _ in try await export(request, of: nil) }
        router.get("/requests/{id}/devices.csv") { request, context in
            let id = try Self.requestID(context)
            return try await export(request, of: id)
        }
        for asset in Asset.all {
            router.get(RouterPath(asset.path)) { _, _ -> Response in
                var response = Response.text(asset.text, type: asset.type)
                response.headers[.cacheControl] = "public, max-age=31536000, immutable"
                return response
            }
        }
        addForms(to: router)
    }

    // MARK: - What all have

    func frame(_ title: String, _ context: ConsoleContext, _ status: WorldStatus) -> PageFrame {
        var frame = PageFrame(title: title)
        let pace = status.rate == 0 ? "as fast as it can" : Self.pace(status)
        frame.clock = PageFrame.Clock(
            now: Moment(status.time),
            seconds: status.time.secondsSince2000, rate: "\(status.rate)", pace: pace,
            release: status.release)
        if !status.trouble.isEmpty {
            frame.trouble = PageFrame.Trouble(sentences: status.trouble)
        }
        frame.formToken = context.formCookie.map(access.formToken)
        frame.isSignedIn = context.isSignedIn
        return frame
    }

    private static func pace(_ status: WorldStatus) -> String {
        switch status.pace {
        case "real": "real time"
        case "x3600": "×3600, an hour a second"
        default: status.pace.hasPrefix("x") ? "×\(status.pace.dropFirst())" : status.pace
        }
    }

    static func html(_ text: String) -> Response {
        .text(text, type: "text/html; charset=utf-8")
    }

    static func requestID(_ context: ConsoleContext) throws -> RequestID {
        guard let text = context.parameters.get("id"),
            let id = RequestID(text.removingPercentEncoding ?? text)
        else { throw Problem(.notFound, "That is no request's id.") }
        return id
    }

    // MARK: - Pages

    private func list(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let filter = try ScreenFilter(request)
        let status = await world.status()
        let query = filter.query(at: status.time)
        let page = try await tracking.requests(
            query, after: request.query("after"), limit: Self.pageLength)
        var ofAll = query
        (ofAll.statuses, ofAll.isReported) = ([], nil)
        let counts = try await tracking.counts(ofAll, ofRequests: false)
        let choices = try await tracking.choices()
        let run = await world.runs().first
        let isOn = run?.state == .running
        var frame = frame("Requests", context, status)
        frame.isRequests = true
        let hubs = status.homes.flatMap(\.nodes).filter { $0.role == "CH" }.map(\.eui64.text)
        let model = ListPage(
            frame: frame,
            periods: ScreenFilter.Period.allCases.map {
                Choice(value: $0.rawValue, words: $0.words, isChosen: $0 == filter.period)
            },
            statuses: filter.statusChoices, reported: filter.reportedChoices,
            types: filter.typeChoices,
            manufacturers: filter.manufacturerChoices(of: choices.manufacturers),
            hub: filter.hub?.text ?? "", hubs: Array(hubs.prefix(100)),
            version: filter.version.map(Words.version) ?? "",
            versions: choices.versions.prefix(100).map(Words.version),
            isFiltered: filter.isFiltering, counts: filter.links(counts, path: "/"),
            caption: Self.caption(page, filter), requests: page.rows.map(RequestItem.init),
            isEmpty: page.rows.isEmpty,
            older: page.next.map { filter.link("/", [("after", "\($0)")]) },
            csv: filter.link("/requests.csv"), gateway: gateway(), run: run.map(RunItem.init),
            isDemoOn: isOn,
            demoOrder: isOn
                ? "The demo is running" : run == nil ? "Start the demo" : "Start it again")
        return Self.html(pages.render(model, "list"))
    }

    private static func caption(_ page: Page<RequestRow>, _ filter: ScreenFilter)
        -> String
    {
        "\(page.next == nil ? "" : "The first ")\(Words.plural(page.rows.count, "request"))"
            + ", newest first (received: \(filter.period.words.lowercased()))"
    }

    private func request(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let id = try Self.requestID(context)
        let filter = try ScreenFilter(request)
        guard let tracked = try await tracking.request(id) else {
            throw Problem(.notFound, "There is no request '\(id)'.")
        }
        var query = filter.query
        query.request = id
        let page = try await tracking.devices(
            query, after: request.query("after"), limit: Self.deviceLength)
        var ofAll = TrackingFilter()
        ofAll.request = id
        let counts = try await tracking.counts(ofAll, ofRequests: false)
        let events = try await tracking.timeline(
            of: id, device: nil, limit: Self.timelineLength)
        let item = RequestItem(tracked)
        let all = tracked.counts.values.reduce(0, +)
        var frame = frame("\(item.variant) \(item.name)", context, await world.status())
        frame.isRequests = true
        let model = RequestPage(
            frame: frame, item: item, counts: filter.links(counts, path: item.link),
            caption: "\(page.rows.count == all ? "" : "\(Words.count(page.rows.count)) of ")"
                + Words.plural(all, "device"),
            csv: filter.link("\(item.link)/devices.csv"), devices: page.rows.map(DeviceItem.init),
            isEmpty: page.rows.isEmpty,
            nothing: all == 0
                ? "This request is for no device's firmware." : "No device fits this filter.",
            more: page.next.map { filter.link(item.link, [("after", "\($0)")]) },
            hasEvents: !events.rows.isEmpty, events: EventItem.items(events.rows))
        return Self.html(pages.render(model, "request"))
    }

    private func device(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let id = try Self.requestID(context)
        var query = TrackingFilter()
        query.request = id
        query.device = context.parameters.get("device").flatMap { EUI64($0) }
        guard let device = query.device,
            let tracked = try await tracking.devices(query, after: nil, limit: 1).rows.first
        else { throw Problem(.notFound, "The request '\(id)' is for no such device.") }
        let events = try await tracking.timeline(
            of: id, device: device, after: request.query("after"), limit: Self.timelineLength)
        let item = DeviceItem(tracked)
        var frame = frame("\(item.type) \(item.device)", context, await world.status())
        frame.isRequests = true
        let model = DevicePage(
            frame: frame, request: "\(id)", requestLink: ScreenPath.request(id),
            variant: tracked.variant, name: Words.name(of: tracked.variant), item: item,
            events: EventItem.items(events.rows),
            later: events.next.map { "\(item.link)?after=\($0)" })
        return Self.html(pages.render(model, "device"))
    }

    private func homes(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let status = await world.status()
        var frame = frame("Homes", context, status)
        frame.isHomes = true
        let form = frame.formToken ?? ""
        let model = HomesPage(
            frame: frame,
            homes: status.homes.map { home in
                HomesPage.Home(
                    name: home.name,
                    nodes: home.nodes.map { .init($0, home: home.name, form: form) })
            })
        return Self.html(pages.render(model, "homes"))
    }

    private func notices(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let page = try await tracking.notices(
            after: request.query("after"), limit: Self.pageLength)
        let status = await world.status()
        var frame = frame("Notices", context, status)
        frame.isNotices = true
        let model = NoticesPage(
            frame: frame, notices: page.rows.map(NoticesPage.Item.init),
            isEmpty: page.rows.isEmpty,
            older: page.next.map { "/notices?after=\($0)" })
        return Self.html(pages.render(model, "notices"))
    }
}
