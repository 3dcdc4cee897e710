"""Mesh files for tests."""

SHOP = """\
mesh: {meshName: shop, spec: {egressFilter: {type: DROP_ALL}}}
virtualServices:
  - virtualServiceName: payments.shop.local
    spec: {provider: {virtualRouter: {virtualRouterName: payments}}}
  - virtualServiceName: ledger.shop.local
    spec: {provider: {virtualNode: {virtualNodeName: ledger}}}
virtualRouters:
  - virtualRouterName: payments
    spec: {listeners: [{portMapping: {port: 8080, protocol: http}}]}
    routes:
      - routeName: all
        spec:
          httpRoute:
            match: {prefix: /}
            action: {weightedTargets: [{virtualNode: payments-v1, weight: 1}]}
      - routeName: pay
        spec:
          httpRoute:
            match: {prefix: /pay}
            action:
              weightedTargets:
                - {virtualNode: payments-v1, weight: 90}
                - {virtualNode: payments-v2, weight: 10}
            retryPolicy:
              maxRetries: 3
              perRetryTimeout: {unit: ms, value: 200}
              httpRetryEvents: [server-error]
              tcpRetryEvents: [connection-error]
            timeout: {perRequest: {unit: s, value: 5}}
virtualNodes:
  - virtualNodeName: web
    spec:
      listeners: [{portMapping: {port: 8000, protocol: http}}]
      serviceDiscovery: {static: {endpoints: ["127.0.0.1:9000"]}}
      backends: [{virtualService: {virtualServiceName: payments.shop.local}}]
  - virtualNodeName: payments-v1
    tags: [{key: meshscope/service, value: payments}, {key: meshscope/version, value: v1}]
    spec:
      listeners:
        - portMapping: {port: 8001, protocol: http}
          outlierDetection:
            maxServerErrors: 3
            interval: {unit: s, value: 10}
            baseEjectionDuration: {unit: s, value: 5}
            maxEjectionPercent: 50
          connectionPool: {http: {maxConnections: 20, maxPendingRequests: 5}}
          timeout: {http: {idle: {unit: s, value: 60}}}
      serviceDiscovery: {static: {endpoints: ["127.0.0.1:9001"]}}
      backends: [{virtualService: {virtualServiceName: ledger.shop.local}}]
  - virtualNodeName: payments-v2
    tags: [{key: meshscope/service, value: payments}, {key: meshscope/version, value: v2}]
    spec:
      listeners: [{portMapping: {port: 8002, protocol: http}}]
      serviceDiscovery: {static: {endpoints: ["127.0.0.1:9002"]}}
  - virtualNodeName: ledger
    spec:
      listeners: [{portMapping: {port: 8003, protocol: http}}]
      serviceDiscovery: {dns: {hostname: ledger.internal, responseType: ENDPOINTS}}
"""
