import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// What a server needs of the world behind it.
public struct ConsoleParts: Sendable {
    public var gateway: any DUISGateway
    public var tracking: StoredTracking
    public var world: any WorldControl
    public var notices: any NoticeOutlet

    public init(
        gateway: any DUISGateway, tracking: StoredTracking, world: any WorldControl,
        notices: any NoticeOutlet
    ) {
        self.gateway = gateway
        self.tracking = tracking
        self.world = world
        self.notices = notices
    }
}

/// Why a server could not begin, or did not go on.
public enum ConsoleError: Error, Hashable, Sendable, CustomStringConvertible {
    case portInUse(address: String, port: Int)
    case notAllowed(address: String, port: Int)
    case noAddress(String, reason: String)
    /// It is no address, and no host that is known.
    case unknownHost(String)

    public var description: String {
        switch self {
        case .portInUse(let address, let port):
            "port \(port) of \(address) is in use; end the other server or name another --port"
        case .notAllowed(let address, let port):
            "port \(port) of \(address) may not be used by this user; name another --port"
        case .noAddress(let address, let reason):
            "cannot listen at '\(address)': \(reason); name an address of this machine's with "
                + "--bind"
        case .unknownHost(let name):
            "cannot listen at '\(name)': it is no address, and no host of that name is known; name "
                + "an address of this machine's with --bind"
        }
    }
}

/// The HTTP server: DUIS gateway, screen and control interface; and who delivers the notices.
public final class ConsoleServer: Sendable {
    private let settings: ConsoleSettings
    private let parts: ConsoleParts
    private let logger: Logger
    private let watchers: Watchers
    private let deliverer: NoticeDeliverer
    private let state = Mutex(State())

    private struct State {
        var port: Int?
        var group: ServiceGroup?
        var isStopped = false
        var tasks: [Task<Void, Never>] = []
    }

    public init(_ settings: ConsoleSettings, _ parts: ConsoleParts, logger: Logger) {
        self.settings = settings
        self.parts = parts
        self.logger = logger
        watchers = Watchers(settings)
        deliverer = NoticeDeliverer(parts.notices, settings.notices, logger: logger)
    }

    /// Where requests go, once it listens.
    public var address: String {
        let port = state.withLock { $0.port } ?? settings.port
        let host = ["0.0.0.0", "::"].contains(settings.bind) ? "localhost" : settings.bind
        return "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    /// Listens until `stop`, and then until every request that has begun is answered. `started` is
    /// given the port once it listens. Throws a `ConsoleError` if it cannot.
    public func run(started: @escaping @Sendable (Int) async -> Void) async throws {
        let application = application { port in
            self.state.withLock { $0.port = port }
            self.beginTasks()
            await started(port)
        }
        var configuration = ServiceGroupConfiguration(services: [application], logger: silent)
        configuration.maximumGracefulShutdownDuration = .seconds(settings.shutdownTime)
        let group = ServiceGroup(configuration: configuration)
        let isStopped = state.withLock { state in
            state.group = group
            return state.isStopped
        }
        if isStopped { return }
        do {
            try await group.run()
            await endTasks()
        } catch let error as IOError {
            throw ConsoleError(error.errnoCode, settings)
        } catch is SocketAddressError.UnknownHost {
            throw ConsoleError.unknownHost(settings.bind)
        } catch let error as SocketAddressError {
            throw ConsoleError.noAddress(settings.bind, reason: "\(error)")
        } catch {
            await endTasks()
            // Requests that took too long to end were cut off.
            guard state.withLock({ $0.isStopped }) else { throw error }
        }
    }

    /// What goes on beside the server: it begins once that listens.
    private func beginTasks() {
        let tasks = [Task { await follow() }, Task { await deliverer.run() }]
        state.withLock { $0.tasks = tasks }
    }

    private func endTasks() async {
        let tasks = state.withLock { state in
            defer { state.tasks = [] }
            return state.tasks
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    /// Ends `run`.
    public func stop() async {
        let group = state.withLock { state in
            state.isStopped = true
            return state.group
        }
        watchers.close()
        await group?.triggerGracefulShutdown()
    }

    private func follow() async {
        for await update in await parts.world.updates() {
            watchers.tell(update)
            switch update {
            case .notice(_, let user): deliverer.ring(user)
            case .dropped: deliverer.ring()
            case .tracking, .world: break
            }
        }
    }

    private func application(
        started: @escaping @Sendable (Int) async -> Void
    ) -> some ApplicationProtocol {
        let requestTime = settings.requestTime
        return Application(
            router: router(),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [ConnectionGuard(requestTime: requestTime)])),
            configuration: .init(
                address: .hostname(settings.bind, port: settings.port),
                availableConnectionsDelegate: MaximumAvailableConnections(
                    settings.maximumConnections)),
            onServerRunning: { channel in
                await started(channel.localAddress?.port ?? 0)
            }, logger: silent)
    }

    /// Hummingbird's own lines are of no use to whoever runs this.
    private var silent: Logger {
        var logger = logger
        logger.logLevel = max(.error, logger.logLevel)
        return logger
    }

    private func router() -> Router<ConsoleContext> {
        let pages = Pages()
        let access = Access(settings)
        let router = Router(
            context: ConsoleContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: AnswerGuard(pages: pages))
        router.add(middleware: HostGuard(settings))
        router.add(middleware: SiteGuard())
        router.add(middleware: AccessGuard(access: access))
        let screen = ScreenRoutes(
            pages: pages, tracking: parts.tracking, world: parts.world, access: access,
            watchers: watchers, gateway: { self.address + "/api/v1/serviceD" })
        screen.add(to: router)
        ControlRoutes(
            pages: pages, screen: screen, tracking: parts.tracking, world: parts.world,
            watchers: watchers
        ).add(to: router)
        GatewayRoutes(gateway: parts.gateway, intake: Intake(settings), settings: settings)
            .add(to: router)
        return router
    }
}
