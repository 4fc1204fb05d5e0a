import DCC
import DUIS
import HeadEnd
import Logging
import Wire

/// The gateway before a head end: reads and checks a request's XML, has it carried out, and signs
/// what is answered.
public struct LiveGateway: DUISGateway {
    private let reader: DUISReader
    private let signer: XMLSigner
    private let headEnd: HeadEnd
    private let logger: Logger
    /// What a client is told to wait when the world is busy or cannot store anything, in seconds.
    private let retryAfter: Int

    public init(
        reader: DUISReader, signer: XMLSigner, headEnd: HeadEnd, retryAfter: Int = 5,
        logger: Logger
    ) {
        self.reader = reader
        self.signer = signer
        self.headEnd = headEnd
        self.retryAfter = retryAfter
        self.logger = logger
    }

    public func answer(_ request: [UInt8], over service: WebService) async -> GatewayAnswer {
        let reader = reader
        let read: Result<ReceivedRequest, DUISRefusal> = await offload {
            do throws(DUISRefusal) {
                return .success(try reader.request(request))
            } catch {
                return .failure(error)
            }
        }
        switch read {
        case .failure(let refusal):
            logger.notice(
                "\(service.rawValue): refused, \(refusal.situation.rawValue): \(refusal.detail)")
            return await refuse(refusal)
        case .success(let received):
            do {
                let response = try await headEnd.submit(received.request, over: service)
                let request = "\(received.request.variant) \(received.idText)"
                logger.info("\(service.rawValue): \(request): \(response.code)")
                return try .response(
                    DUISWriter.response(
                        response, requestIDText: received.idText, signedBy: signer))
            } catch let error as HeadEndError {
                logger.warning("\(service.rawValue): \(error)")
                return .busy(retryAfter: retryAfter)
            } catch {
                logger.error("\(service.rawValue): \(error)")
                return .failed("The answer cannot be written: \(error)")
            }
        }
    }

    public func refusal(_ situation: ResponseCodes.Situation) async -> GatewayAnswer {
        await refuse(DUISRefusal(situation, ""))
    }

    private func refuse(_ refusal: DUISRefusal) async -> GatewayAnswer {
        do {
            let response = ServiceResponse(
                requestID: refusal.header.id, responseID: refusal.header.id?.reversed,
                code: headEnd.plan.settings.codes[refusal.situation],
                time: try await headEnd.status().time,
                // assumption: the schema wants a service even where none could be read.
                body: .response(
                    reference: refusal.header.reference ?? "11.1",
                    variant: refusal.header.variant ?? "11.1", nil))
            return try .response(
                DUISWriter.response(
                    response, requestIDText: refusal.header.idText, signedBy: signer))
        } catch is HeadEndError {
            return .busy(retryAfter: retryAfter)
        } catch {
            return .failed("The refusal cannot be written: \(error)")
        }
    }
}
